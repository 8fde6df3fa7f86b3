// Prints, of a program with debug information, where the members lie that the tracer reads: NAME=OFFSET, a line each.
package main

import (
	"debug/dwarf"
	"debug/elf"
	"fmt"
	"log"
	"os"
)

var wanted = map[string][]string{
	"runtime.g":             {"goid", "parentGoid", "startpc"},
	"net/http.persistConn":  {"conn"},
	"net.TCPConn":           {"conn"},
	"net.conn":              {"fd"},
	"net.netFD":             {"pfd", "family", "sotype", "isConnected"},
	"internal/poll.FD":      {"Sysfd"},
}

func main() {
	file, err := elf.Open(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	data, err := file.DWARF()
	if err != nil {
		log.Fatal(err)
	}
	reader := data.Reader()
	for {
		entry, err := reader.Next()
		if err != nil {
			log.Fatal(err)
		}
		if entry == nil {
			return
		}
		name, _ := entry.Val(dwarf.AttrName).(string)
		if entry.Tag != dwarf.TagStructType || wanted[name] == nil {
			continue
		}
		kind, err := data.Type(entry.Offset)
		if err != nil {
			log.Fatal(err)
		}
		for _, field := range kind.(*dwarf.StructType).Field {
			for _, member := range wanted[name] {
				if field.Name == member {
					fmt.Printf("%s.%s=%d\n", name, member, field.ByteOffset)
				}
			}
		}
	}
}

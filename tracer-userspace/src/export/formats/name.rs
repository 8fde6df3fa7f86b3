//! The formats by name: what is asked for, and what a file's name says.

use std::path::Path;

/// What files spans can be written into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileFormat {
    /// The trace JSON, this tool's own.
    Trace,
    /// OpenTelemetry's JSON, one request a line.
    Otlp,
    /// Zipkin's JSON, version 2.
    Zipkin,
    /// What Jaeger's user interface loads.
    Jaeger,
    /// Chrome trace events, for Perfetto's user interface.
    Perfetto,
    /// A table for a spreadsheet.
    Csv,
}

impl FileFormat {
    /// All of them.
    pub const ALL: [FileFormat; 6] = [
        FileFormat::Trace,
        FileFormat::Otlp,
        FileFormat::Zipkin,
        FileFormat::Jaeger,
        FileFormat::Perfetto,
        FileFormat::Csv,
    ];

    /// The format that a file's name says: `x.zipkin.json`, `zipkin.json`, `x.csv`. `None` for one that says nothing.
    pub fn of_name(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        let mut parts = name.rsplit('.');
        let last = parts.next().filter(|last| last.len() < name.len())?;
        let before = parts.next().unwrap_or_default();
        match (before, last) {
            (_, "csv") => Some(FileFormat::Csv),
            ("otlp", "json" | "jsonl" | "ndjson") => Some(FileFormat::Otlp),
            ("zipkin", "json") => Some(FileFormat::Zipkin),
            ("jaeger", "json") => Some(FileFormat::Jaeger),
            ("perfetto" | "chrome", "json") => Some(FileFormat::Perfetto),
            ("trace" | "traces", "json") => Some(FileFormat::Trace),
            _ => None,
        }
    }

    /// A file's name that says this format.
    pub fn example(self) -> &'static str {
        match self {
            FileFormat::Trace => "x.traces.json",
            FileFormat::Otlp => "x.otlp.jsonl",
            FileFormat::Zipkin => "x.zipkin.json",
            FileFormat::Jaeger => "x.jaeger.json",
            FileFormat::Perfetto => "x.perfetto.json",
            FileFormat::Csv => "x.csv",
        }
    }

    /// What can be done with such a file, as the end of a sentence; the name of the file comes before it.
    pub fn use_of(self) -> &'static str {
        match self {
            FileFormat::Trace => "`tracer show` shows the slowest traces of it",
            FileFormat::Otlp => "an OpenTelemetry collector reads it (otlpjsonfile receiver)",
            FileFormat::Zipkin => "POST it to /api/v2/spans, or upload it in Zipkin's user interface",
            FileFormat::Jaeger => "upload it in Jaeger's user interface (Search, Upload)",
            FileFormat::Perfetto => "open it in Perfetto's user interface or chrome://tracing",
            FileFormat::Csv => "open it with a spreadsheet",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_formats() {
        let of = |name: &str| FileFormat::of_name(Path::new(name));
        for format in FileFormat::ALL {
            assert_eq!(of(format.example()), Some(format));
            assert_eq!(of(&format.example().to_uppercase()), Some(format));
        }
        for (name, format) in [
            ("dir.csv/zipkin.json", FileFormat::Zipkin),
            ("a.b.otlp.json", FileFormat::Otlp),
            ("traces.json", FileFormat::Trace),
            ("x.trace.json", FileFormat::Trace),
            ("x.chrome.json", FileFormat::Perfetto),
            (".csv", FileFormat::Csv),
        ] {
            assert_eq!(of(name), Some(format), "{name}");
        }
        for name in
            ["x.json", "csv", "otlp", "x.zipkin", "x.jaeger.jsonl", "json", "", "..", "x.zipkin.json.gz"]
        {
            assert_eq!(of(name), None, "{name}");
        }
    }
}

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.util.HexFormat;
import java.util.concurrent.Executors;

/**
 * A Java service on the JDK's own server, one thread per request: /item/ at once, /slow/ after 20 ms, /missing/ not at
 * all, /front calls the backend twice with the JDK's blocking client. Writes its own access log.
 */
public final class Shop {
    private static final byte[] OK = "ok\n".getBytes(StandardCharsets.US_ASCII);
    private static final SecureRandom RANDOM = new SecureRandom();
    private static FileOutputStream log;
    private static FileOutputStream truth;

    public static void main(String[] arguments) throws IOException {
        log = new FileOutputStream(System.getenv("ACCESS_LOG"), true);
        truth = new FileOutputStream(System.getenv("TRUTH"), true);
        int port = Integer.parseInt(System.getenv("PORT"));
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 1024);
        server.setExecutor(Executors.newFixedThreadPool(16));
        server.createContext("/", Shop::serve);
        server.start();
    }

    private static void serve(HttpExchange exchange) throws IOException {
        long start = System.nanoTime();
        URI uri = exchange.getRequestURI();
        String path = uri.getPath();
        int status = 200;
        if (path.equals("/front")) {
            String query = uri.getQuery();
            String incoming = query != null && query.startsWith("truth=") ? query.substring(6) : "-";
            boolean answered = callBackend(incoming) == 200 && callBackend(incoming) == 200;
            status = answered ? 200 : 502;
        } else if (path.startsWith("/slow/")) {
            sleep();
        } else if (path.startsWith("/missing/")) {
            status = 404;
        }
        exchange.sendResponseHeaders(status, OK.length);
        exchange.getResponseBody().write(OK);
        exchange.close();
        long nanoseconds = System.nanoTime() - start;
        write(log, exchange.getRequestMethod() + " " + uri + " HTTP/1.1 " + status + " " + nanoseconds + "\n");
    }

    private static int callBackend(String incoming) throws IOException {
        byte[] id = new byte[8];
        RANDOM.nextBytes(id);
        String outgoing = HexFormat.of().formatHex(id);
        write(truth, incoming + " " + outgoing + "\n");
        URI uri = URI.create("http://" + System.getenv("BACKEND") + "/b?truth=" + outgoing);
        HttpURLConnection connection = (HttpURLConnection) uri.toURL().openConnection();
        try (InputStream body = connection.getInputStream()) {
            body.readAllBytes();
        }
        return connection.getResponseCode();
    }

    /** One write call per line, so that lines of different threads do not mix. */
    private static void write(FileOutputStream file, String line) throws IOException {
        file.write(line.getBytes(StandardCharsets.US_ASCII));
    }

    private static void sleep() {
        try {
            Thread.sleep(20);
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.HttpURLConnection;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ThreadLocalRandom;

/**
 * The JDK's HTTP server, the accuracy harness's: `Front blocking` calls on the thread that serves, `Front executor` hands
 * each call to 16 other threads and waits, `Front async` uses HttpClient.sendAsync and answers where the last response
 * arrives, `Front virtual` serves and calls in virtual threads.
 */
public final class Front {
    private static final String WAIT = "db";
    private static final String NOBODY = "-";
    /** The call that sends a body, as the request does that asks for it. */
    private static final String SAVE = "save";
    private static final String BODY = "{\"item\": \"0123456789abcdef0123456789abcdef\", \"count\": 12}";
    private static final byte[] OK = "ok\n".getBytes(StandardCharsets.US_ASCII);
    private static final SecureRandom RANDOM = new SecureRandom();
    private static final String BACKEND = "http://" + System.getenv("BACKEND");
    private static final Map<String, List<List<String>>> PLANS = Map.of(
            "/front", List.of(List.of("b"), List.of("c")),
            "/other", List.of(List.of("c"), List.of("d")),
            "/fan", List.of(List.of("b", "c")),
            "/repeat", List.of(List.of("b"), List.of("b"), List.of("b")),
            "/skip", List.of(List.of("b"), List.of("c")),
            "/db", List.of(List.of(WAIT), List.of("b")),
            "/post", List.of(List.of(SAVE), List.of("c")));
    private static final ThreadLocal<Socket> DATABASE = new ThreadLocal<>();
    private static FileOutputStream truth;
    private static ExecutorService workers;
    private static HttpClient client;

    public static void main(String[] arguments) throws Exception {
        truth = new FileOutputStream(System.getenv("TRUTH"), true);
        String mode = arguments[0];
        int port = Integer.parseInt(System.getenv("PORT"));
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 512);
        if (mode.equals("virtual")) {
            // Java 21's; by reflection, so that older compilers take this file.
            server.setExecutor((ExecutorService) Executors.class.getMethod("newVirtualThreadPerTaskExecutor").invoke(null));
        } else {
            server.setExecutor(Executors.newFixedThreadPool(mode.equals("async") ? 8 : 128));
        }
        workers = Executors.newFixedThreadPool(mode.equals("executor") ? 16 : 256);
        client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
        server.createContext("/", exchange -> {
            if (exchange.getRequestMethod().equals("POST")) {
                exchange.getRequestBody().readAllBytes();
            }
            if (mode.equals("async")) {
                serveAsync(exchange);
            } else {
                serve(exchange, mode.equals("executor"));
            }
        });
        server.start();
        int background = Integer.parseInt(System.getenv().getOrDefault("BACKGROUND", "0"));
        if (background > 0) {
            Thread ticker = new Thread(() -> tick(background));
            ticker.setDaemon(true);
            ticker.start();
        }
    }

    private static String incoming(HttpExchange exchange) {
        String incoming = exchange.getRequestHeaders().getFirst("x-truth-id");
        return incoming == null ? NOBODY : incoming;
    }

    private static List<List<String>> plan(HttpExchange exchange) {
        String path = exchange.getRequestURI().getPath();
        List<List<String>> steps = new ArrayList<>(PLANS.getOrDefault(path, List.of()));
        if (path.equals("/skip")) {
            steps.removeIf(step -> ThreadLocalRandom.current().nextDouble() < 0.3);
        }
        return steps;
    }

    private static void serve(HttpExchange exchange, boolean handOver) throws IOException {
        String incoming = incoming(exchange);
        for (List<String> step : plan(exchange)) {
            if (step.size() == 1 && !handOver) {
                call(incoming, step.get(0));
                continue;
            }
            List<Future<?>> calls = new ArrayList<>();
            for (String name : step) {
                calls.add(workers.submit(() -> call(incoming, name)));
            }
            for (Future<?> one : calls) {
                try {
                    one.get();
                } catch (Exception failed) {
                    throw new IOException(failed);
                }
            }
        }
        answer(exchange);
    }

    private static void serveAsync(HttpExchange exchange) {
        String incoming = incoming(exchange);
        CompletableFuture<Void> done = CompletableFuture.completedFuture(null);
        for (List<String> step : plan(exchange)) {
            done = done.thenCompose(nothing -> CompletableFuture.allOf(
                    step.stream().map(name -> callAsync(incoming, name)).toArray(CompletableFuture[]::new)));
        }
        done.whenComplete((nothing, failed) -> answer(exchange));
    }

    private static void answer(HttpExchange exchange) {
        try {
            exchange.sendResponseHeaders(200, OK.length);
            exchange.getResponseBody().write(OK);
            exchange.close();
        } catch (IOException failed) {
            failed.printStackTrace();
        }
    }

    /** Draws a fresh id and writes it down. */
    private static String fresh(String incoming) {
        byte[] id = new byte[8];
        RANDOM.nextBytes(id);
        String fresh = HexFormat.of().formatHex(id);
        try {
            truth.write((incoming + " " + fresh + "\n").getBytes(StandardCharsets.US_ASCII));
        } catch (IOException failed) {
            failed.printStackTrace();
        }
        return fresh;
    }

    private static Void call(String incoming, String name) throws IOException {
        if (name.equals(WAIT)) {
            return query();
        }
        String fresh = fresh(incoming);
        HttpURLConnection connection = (HttpURLConnection) URI.create(BACKEND + "/" + name).toURL().openConnection();
        connection.setRequestProperty("x-truth-id", fresh);
        if (name.equals(SAVE)) {
            connection.setDoOutput(true);
            try (OutputStream out = connection.getOutputStream()) {
                out.write(BODY.getBytes(StandardCharsets.US_ASCII));
            }
        }
        try (InputStream body = connection.getInputStream()) {
            body.readAllBytes();
        }
        return null;
    }

    private static CompletableFuture<?> callAsync(String incoming, String name) {
        if (name.equals(WAIT)) {
            return CompletableFuture.supplyAsync(() -> {
                try {
                    return query();
                } catch (IOException failed) {
                    throw new java.io.UncheckedIOException(failed);
                }
            }, workers);
        }
        String fresh = fresh(incoming);
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(BACKEND + "/" + name)).header("x-truth-id", fresh);
        if (name.equals(SAVE)) {
            request.POST(HttpRequest.BodyPublishers.ofString(BODY));
        }
        return client.sendAsync(request.build(), HttpResponse.BodyHandlers.ofString());
    }

    /** One question to the database on this thread's connection. */
    private static Void query() throws IOException {
        Socket socket = DATABASE.get();
        if (socket == null) {
            String[] address = System.getenv("DATABASE").split(":");
            socket = new Socket(address[0], Integer.parseInt(address[1]));
            DATABASE.set(socket);
        }
        OutputStream out = socket.getOutputStream();
        out.write("*1\r\n$4\r\nPING\r\n".getBytes(StandardCharsets.US_ASCII));
        socket.getInputStream().read(new byte[64]);
        return null;
    }

    private static void tick(int milliseconds) {
        while (true) {
            try {
                Thread.sleep(milliseconds);
                call(NOBODY, "tick");
            } catch (IOException | InterruptedException failed) {
                return;
            }
        }
    }
}

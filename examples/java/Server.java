import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.cert.X509Certificate;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import javax.net.ssl.SSLSocket;

/**
 * Greets every client by the name in its certificate, over mutual TLS with the keystores of a mounted Secret.
 *
 * <p>Never has to be restarted for a new certificate. Writes JSON lines: whenever it has loaded a certificate, a peer comes with a new one, or a
 * handshake fails.
 *
 * <pre>
 * javac -d classes *.java
 * java -cp classes Server --certs /var/run/mtls --listen :8443
 * </pre>
 */
public final class Server {
    private static final int PATIENCE = 10_000; // milliseconds

    private final Identity identity;
    private final AtomicLong handshakes = new AtomicLong();
    private final AtomicLong failures = new AtomicLong();
    private final Map<String, String> peers = new ConcurrentHashMap<>(); // name of a peer → serial number of its certificate

    private Server(Identity identity) {
        this.identity = identity;
    }

    public static void main(String[] arguments) throws Exception {
        Server server = new Server(Identity.fromFlags(arguments));
        String[] listen = Identity.flag(arguments, "--listen", ":8443").split(":", 2);
        ServerSocket socket = new ServerSocket();
        InetAddress host = listen[0].isEmpty() ? new InetSocketAddress(0).getAddress() : InetAddress.getByName(listen[0]);
        socket.bind(new InetSocketAddress(host, Integer.parseInt(listen[1])), 128);
        Identity.log("serving", "address", socket.getInetAddress().getHostAddress() + ":" + socket.getLocalPort());
        server.serve(socket);
    }

    private void serve(ServerSocket socket) throws IOException {
        Executors.newSingleThreadScheduledExecutor(Server::daemon).scheduleAtFixedRate(this::count, 1, 1, TimeUnit.SECONDS);
        Runtime.getRuntime().addShutdownHook(new Thread(this::count));
        ExecutorService workers = Executors.newCachedThreadPool(Server::daemon);
        while (true) {
            Socket client = socket.accept();
            // In a thread of its own: a client that dawdles with its handshake holds up nobody else.
            workers.execute(() -> greet(client));
        }
    }

    private static Thread daemon(Runnable work) {
        Thread thread = new Thread(work);
        thread.setDaemon(true);
        return thread;
    }

    private void greet(Socket plain) {
        try (plain) {
            plain.setSoTimeout(PATIENCE);
            try (SSLSocket connection = handshake(plain)) {
                answer(connection);
            } catch (IOException | GeneralSecurityException failure) {
                failures.incrementAndGet();
                Identity.logFailure(failure);
            }
        } catch (IOException alreadyClosed) {
            // Nothing is lost by it.
        }
    }

    private SSLSocket handshake(Socket plain) throws IOException, GeneralSecurityException {
        SSLSocket connection = (SSLSocket) identity.context().getSocketFactory().createSocket(plain, null, plain.getPort(), true);
        connection.setUseClientMode(false);
        // A peer without a certificate that our roots vouch for gets no connection.
        connection.setNeedClientAuth(true);
        connection.startHandshake();
        return connection;
    }

    private void answer(SSLSocket connection) throws IOException, GeneralSecurityException {
        // TLS has proved who the peer is. Whether it may do what it asks for is decided here.
        X509Certificate certificate = Identity.first(connection.getSession().getPeerCertificates());
        String name = Identity.nameOf(certificate);
        handshakes.incrementAndGet();
        String serial = Identity.serialOf(certificate);
        if (!serial.equals(peers.put(name, serial))) Identity.logPeer(name, certificate);
        BufferedReader request = new BufferedReader(new InputStreamReader(connection.getInputStream(), StandardCharsets.ISO_8859_1));
        for (String line = request.readLine(); line != null && !line.isEmpty(); line = request.readLine()) {}
        byte[] body = ("hello " + name + "\n").getBytes(StandardCharsets.UTF_8);
        String head = "HTTP/1.1 200 OK\r\nContent-Length: " + body.length + "\r\nConnection: close\r\n\r\n";
        connection.getOutputStream().write(head.getBytes(StandardCharsets.US_ASCII));
        connection.getOutputStream().write(body);
    }

    private void count() {
        Identity.log("count", "handshakes", handshakes.get(), "failures", failures.get());
    }
}

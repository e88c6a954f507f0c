import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.security.GeneralSecurityException;
import java.security.cert.X509Certificate;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;

/**
 * Makes a new connection to a server again and again, over mutual TLS with the keystores of a mounted Secret.
 *
 * <p>Never has to be restarted for a new certificate. Writes JSON lines: whenever it has loaded a certificate, the server comes with a new one, or a
 * connection fails. Ends with code 1 if any failed.
 *
 * <pre>
 * javac -d classes *.java
 * java -cp classes Client --certs /var/run/mtls --connect web.shop.svc:8443
 * </pre>
 */
public final class Client {
    private static final int PATIENCE = 10_000; // milliseconds

    public static void main(String[] arguments) throws Exception {
        Identity identity = Identity.fromFlags(arguments);
        String connect = Identity.flag(arguments, "--connect", "web.shop.svc:8443");
        String host = connect.substring(0, connect.lastIndexOf(':'));
        int port = Integer.parseInt(connect.substring(connect.lastIndexOf(':') + 1));
        // Must stand in the server's certificate.
        String serverName = Identity.flag(arguments, "--server-name", host);
        int every = Integer.parseInt(Identity.flag(arguments, "--every", "100")); // milliseconds between two connections
        int times = Integer.parseInt(Identity.flag(arguments, "--times", "0")); // end after so many; 0: never

        // SIGTERM waits for the connection that is under way, so that none is broken off; halt, below, then ends the waiting.
        CountDownLatch stopping = new CountDownLatch(1);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            stopping.countDown();
            try {
                Thread.sleep(2L * PATIENCE);
            } catch (InterruptedException ended) {
                Thread.currentThread().interrupt();
            }
        }));
        long handshakes = 0;
        long failures = 0;
        String serial = "";
        long reported = System.nanoTime();
        for (int done = 0; times == 0 || done < times; done++) {
            try {
                X509Certificate peer = greet(identity, host, port, serverName);
                handshakes++;
                if (!serial.equals(Identity.serialOf(peer))) {
                    serial = Identity.serialOf(peer);
                    Identity.logPeer(Identity.nameOf(peer), peer);
                }
            } catch (IOException | GeneralSecurityException failure) {
                failures++;
                Identity.logFailure(failure);
            }
            if (System.nanoTime() - reported >= 1_000_000_000L) {
                Identity.log("count", "handshakes", handshakes, "failures", failures);
                reported = System.nanoTime();
            }
            if (stopping.await(every, TimeUnit.MILLISECONDS)) break;
        }
        Identity.log("count", "handshakes", handshakes, "failures", failures);
        Runtime.getRuntime().halt(failures > 0 ? 1 : 0);
    }

    /** Makes one connection. @return the server's certificate */
    private static X509Certificate greet(Identity identity, String host, int port, String serverName)
            throws IOException, GeneralSecurityException {
        try (Socket plain = new Socket()) {
            plain.connect(new InetSocketAddress(host, port), PATIENCE);
            plain.setSoTimeout(PATIENCE);
            SSLSocket connection = (SSLSocket) identity.context().getSocketFactory().createSocket(plain, serverName, port, true);
            try (connection) {
                // Without this Java takes any server whose certificate our roots vouch for, whatever its name.
                SSLParameters parameters = connection.getSSLParameters();
                parameters.setEndpointIdentificationAlgorithm("HTTPS");
                connection.setSSLParameters(parameters);
                connection.startHandshake();
                X509Certificate peer = Identity.first(connection.getSession().getPeerCertificates());
                Http.Answer answer = Http.get(connection, serverName, "/");
                if (answer.status() != 200) throw new IOException("the server answered " + answer.status());
                return peer;
            }
        }
    }
}

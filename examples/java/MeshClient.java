import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.security.GeneralSecurityException;
import java.util.Arrays;
import java.util.List;
import javax.net.ssl.SNIHostName;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLPeerUnverifiedException;
import javax.net.ssl.SSLSocket;

/**
 * Has no sidecar and asks a pod that has one, over mutual TLS with the keystores of a mounted Secret.
 *
 * <p>Writes JSON lines: whenever it has loaded a certificate, is answered, or a request fails. Ends with code 1 if any failed.
 *
 * <pre>
 * javac -d classes *.java
 * java -cp classes MeshClient --certs /var/run/mtls --connect web.shop.svc:8080 --server spiffe://cluster.local/ns/shop/sa/web
 * </pre>
 */
public final class MeshClient {
    private static final int PATIENCE = 10_000; // milliseconds

    public static void main(String[] arguments) throws Exception {
        Identity identity = Identity.fromFlags(arguments);
        String connect = Identity.flag(arguments, "--connect", "web.shop.svc:8080");
        String host = connect.substring(0, connect.lastIndexOf(':'));
        int port = Integer.parseInt(connect.substring(connect.lastIndexOf(':') + 1));
        String server = Identity.flag(arguments, "--server", "spiffe://cluster.local/ns/shop/sa/web"); // who the server has to be
        String path = Identity.flag(arguments, "--path", "/");
        // Leave out the marker, as clients do that know nothing of the mesh.
        boolean unmarked = Arrays.asList(arguments).contains("--unmarked");
        int every = Integer.parseInt(Identity.flag(arguments, "--every", "100")); // milliseconds between two requests
        int times = Integer.parseInt(Identity.flag(arguments, "--times", "1")); // end after so many requests; 0: never

        int failures = 0;
        for (int done = 0; times == 0 || done < times; done++) {
            if (done > 0) Thread.sleep(every);
            try (Socket plain = new Socket()) {
                plain.connect(new InetSocketAddress(host, port), PATIENCE);
                plain.setSoTimeout(PATIENCE);
                try (SSLSocket connection = secure(plain, identity, server, unmarked)) {
                    Http.Answer answer = Http.get(connection, connect, path);
                    Identity.log("answer", "status", answer.status(), "body", answer.body());
                }
            } catch (IOException | GeneralSecurityException failure) {
                failures++;
                Identity.logFailure(failure);
            }
        }
        System.exit(failures > 0 ? 1 : 0);
    }

    /** Makes a connection one of the mesh. */
    private static SSLSocket secure(Socket plain, Identity identity, String server, boolean unmarked)
            throws IOException, GeneralSecurityException {
        SSLSocket connection = (SSLSocket) identity.context().getSocketFactory().createSocket(plain, null, plain.getPort(), true);
        SSLParameters parameters = connection.getSSLParameters();
        // By this marker a sidecar tells the mesh's mutual TLS from TLS of the application behind it. It selects no protocol.
        if (!unmarked) parameters.setApplicationProtocols(new String[] {"mtls-operator"});
        // SNI goes over the wire in the clear: it is the same for all servers, and no name to verify any by.
        parameters.setServerNames(List.of(new SNIHostName("mesh")));
        connection.setSSLParameters(parameters);
        connection.startHandshake(); // verifies that our roots vouch for the server
        // Before anything is sent. Certificates of sidecars have no DNS names: no endpoint identification algorithm is of use.
        List<String> uris = Identity.urisOf(Identity.first(connection.getSession().getPeerCertificates()));
        if (!uris.equals(List.of(server))) {
            throw new SSLPeerUnverifiedException("the certificate of the server is for " + uris + ", not for " + server);
        }
        return connection;
    }
}

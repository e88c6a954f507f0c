import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.X509Certificate;
import java.time.Instant;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/**
 * Keeps a program's certificate, key and roots as fresh as the Secret that is mounted into its pod: {@code context()} for each new connection. Safe
 * for threads.
 *
 * <p>The Secret is that of a WorkloadCertificate with the output PKCS12 (or JKS: Java tells them apart by itself). The files are looked at when a
 * connection is made, at most once a second.
 */
final class Identity {
    private final Path directory;
    private final Path passwordFile;
    private final String[] names;
    private byte[][] files = {};
    private long looked;
    private KeyManagerFactory keys;
    private TrustManagerFactory roots;

    /**
     * @param passwordFile where the password of both stores stands; null: a generated one, beside them
     * @param kind p12 or jks
     */
    Identity(Path directory, Path passwordFile, String kind) throws IOException, GeneralSecurityException {
        this.directory = directory;
        this.passwordFile = passwordFile;
        this.names = new String[] {"keystore." + kind, "truststore." + kind};
        read();
    }

    /**
     * What the Secret holds now. Files that do not fit together change nothing: the next connection looks again. Another context for each
     * connection, so that none takes up the session of an earlier one: that would carry on with certificates that may have expired since.
     */
    synchronized SSLContext context() throws GeneralSecurityException {
        if (System.nanoTime() - looked >= 1_000_000_000L) {
            try {
                read();
            } catch (IOException | GeneralSecurityException again) {
                // The kubelet is just about to bring the rest.
            }
        }
        SSLContext context = SSLContext.getInstance("TLSv1.3");
        context.init(keys.getKeyManagers(), roots.getTrustManagers(), null);
        return context;
    }

    private void read() throws IOException, GeneralSecurityException {
        looked = System.nanoTime();
        // The kubelet writes a new directory and then points the link ..data to it. Resolved once, so that all files are of one certificate.
        Path data = directory.resolve("..data");
        Path now = Files.isSymbolicLink(data) ? data.toRealPath() : directory;
        byte[][] found = {
            Files.readAllBytes(now.resolve(names[0])),
            Files.readAllBytes(now.resolve(names[1])),
            Files.readAllBytes(passwordFile == null ? now.resolve("keystore-password") : passwordFile),
        };
        if (Arrays.deepEquals(found, files)) return;
        char[] password = new String(found[2], StandardCharsets.US_ASCII).toCharArray();
        KeyManagerFactory newKeys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        newKeys.init(open(names[0], found[0], password), password);
        TrustManagerFactory newRoots = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        newRoots.init(open(names[1], found[1], password));
        keys = newKeys;
        roots = newRoots;
        files = found;
        log("loaded");
    }

    private static KeyStore open(String name, byte[] file, char[] password) throws IOException, GeneralSecurityException {
        KeyStore store = KeyStore.getInstance(name.endsWith(".jks") ? "JKS" : "PKCS12");
        store.load(new ByteArrayInputStream(file), password);
        return store;
    }

    /** Who a verified peer is: its SPIFFE ID, else its first DNS name, else its subject. */
    static String nameOf(X509Certificate certificate) throws GeneralSecurityException {
        Collection<List<?>> names = certificate.getSubjectAlternativeNames();
        for (int kind : new int[] {6 /* URI */, 2 /* DNS */}) {
            for (List<?> name : names == null ? List.<List<?>>of() : names) {
                if (name.get(0).equals(kind)) return (String) name.get(1);
            }
        }
        return certificate.getSubjectX500Principal().getName();
    }

    /** All URIs in a certificate; that of a workload has one, its SPIFFE ID. */
    static List<String> urisOf(X509Certificate certificate) throws GeneralSecurityException {
        Collection<List<?>> names = certificate.getSubjectAlternativeNames();
        if (names == null) return List.of();
        return names.stream().filter(name -> name.get(0).equals(6)).map(name -> (String) name.get(1)).toList();
    }

    static X509Certificate first(Certificate[] chain) {
        return (X509Certificate) chain[0];
    }

    static String serialOf(X509Certificate certificate) {
        return certificate.getSerialNumber().toString(16).toUpperCase();
    }

    static void logPeer(String name, X509Certificate certificate) {
        log("peer", "name", name, "serial", serialOf(certificate), "notAfter", certificate.getNotAfter().toInstant());
    }

    /** With its causes, which often tell more than it does. */
    static void logFailure(Exception failure) {
        StringBuilder text = new StringBuilder();
        for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
            text.append(text.length() == 0 ? "" : ", by ").append(cause);
        }
        log("failed", "error", text);
    }

    /** Writes one JSON line. */
    static void log(String message, Object... fields) {
        StringBuilder line = new StringBuilder("{\"time\":" + json(Instant.now()) + ",\"msg\":" + json(message));
        for (int i = 0; i < fields.length; i += 2) {
            Object value = fields[i + 1];
            line.append(",").append(json(fields[i])).append(":").append(value instanceof Number ? value : json(value));
        }
        System.out.println(line.append("}"));
    }

    private static String json(Object value) {
        StringBuilder text = new StringBuilder("\"");
        for (char c : String.valueOf(value).toCharArray()) {
            if (c == '"' || c == '\\') text.append('\\').append(c);
            else if (c < ' ') text.append(String.format("\\u%04x", (int) c));
            else text.append(c);
        }
        return text.append('"').toString();
    }

    /** The value of a flag such as {@code --certs}. */
    static String flag(String[] arguments, String name, String otherwise) {
        int at = Arrays.asList(arguments).indexOf(name);
        return at < 0 ? otherwise : arguments[at + 1];
    }

    static Identity fromFlags(String[] arguments) throws IOException, GeneralSecurityException {
        String password = flag(arguments, "--password-file", null);
        return new Identity(
            Path.of(flag(arguments, "--certs", "/var/run/mtls")),
            password == null ? null : Path.of(password),
            flag(arguments, "--kind", "p12"));
    }
}

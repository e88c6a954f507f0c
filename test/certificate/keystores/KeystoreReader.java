import java.io.BufferedReader;
import java.io.File;
import java.io.InputStreamReader;
import java.security.Key;
import java.security.KeyStore;
import java.security.MessageDigest;
import java.security.PrivateKey;
import java.security.Signature;
import java.security.cert.Certificate;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collections;
import java.util.HexFormat;
import java.util.List;

/**
 * Opens keystores with Java's own KeyStore. Reads lines of a path, a tab and the password in Base64; answers each with one line: the kind of store, then a
 * tab and an entry for each alias in order (alias, kind, SHA-256 of the certificates), or why it cannot be opened. A key counts only if what
 * it signs is verified by the first certificate.
 */
public class KeystoreReader {
    public static void main(String[] arguments) throws Exception {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] words = line.split("\t", -1);
            String password = new String(Base64.getDecoder().decode(words[1]), "US-ASCII");
            System.out.println(answer(new File(words[0]), password.toCharArray()));
        }
    }

    static String answer(File file, char[] password) {
        try {
            KeyStore store = KeyStore.getInstance(file, password);
            List<String> aliases = Collections.list(store.aliases());
            Collections.sort(aliases);
            List<String> parts = new ArrayList<>(List.of(store.getType().toUpperCase()));
            for (String alias : aliases) parts.add(entry(store, alias, password));
            return String.join("\t", parts);
        } catch (Exception error) {
            return "refused\t" + String.valueOf(error.getMessage()).replaceAll("\\s+", " ");
        }
    }

    static String entry(KeyStore store, String alias, char[] password) throws Exception {
        if (store.isCertificateEntry(alias)) {
            return alias + " trusted " + fingerprint(store.getCertificate(alias));
        }
        Key key = store.getKey(alias, password);
        Certificate[] chain = store.getCertificateChain(alias);
        List<String> fingerprints = new ArrayList<>();
        for (Certificate certificate : chain) fingerprints.add(fingerprint(certificate));
        String kind = belong((PrivateKey) key, chain[0]) ? "key" : "foreign-key";
        return alias + " " + kind + " " + String.join(",", fingerprints);
    }

    static boolean belong(PrivateKey key, Certificate certificate) throws Exception {
        String algorithm = switch (key.getAlgorithm()) {
            case "RSA" -> "SHA256withRSA";
            case "EC" -> "SHA256withECDSA";
            default -> "Ed25519";
        };
        byte[] text = "signed by the key of the keystore".getBytes("US-ASCII");
        Signature signature = Signature.getInstance(algorithm);
        signature.initSign(key);
        signature.update(text);
        byte[] signed = signature.sign();
        signature.initVerify(certificate.getPublicKey());
        signature.update(text);
        return signature.verify(signed);
    }

    static String fingerprint(Certificate certificate) throws Exception {
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(certificate.getEncoded()));
    }
}

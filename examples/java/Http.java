import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import javax.net.ssl.SSLSocket;

/** As much of HTTP/1.1 as the clients of these examples need, over a connection that they have made themselves. */
final class Http {
    private Http() {}

    record Answer(int status, String body) {}

    static Answer get(SSLSocket connection, String host, String path) throws IOException {
        String request = "GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n";
        connection.getOutputStream().write(request.getBytes(StandardCharsets.US_ASCII));
        return readAnswer(connection.getInputStream());
    }

    /** As long as the response says: not every server says goodbye, and Java takes a connection that just ends for a broken one. */
    private static Answer readAnswer(InputStream in) throws IOException {
        String status = readLine(in);
        if (!status.matches("HTTP/1\\.[01] [1-5]\\d\\d .*")) throw new IOException("the server answered " + status);
        int length = 0;
        for (String line = readLine(in); !line.isEmpty(); line = readLine(in)) {
            if (line.toLowerCase().startsWith("content-length:")) length = Integer.parseInt(line.substring(15).trim());
        }
        byte[] body = in.readNBytes(length);
        if (body.length < length) throw new IOException("the response ends early");
        return new Answer(Integer.parseInt(status.substring(9, 12)), new String(body, StandardCharsets.UTF_8));
    }

    private static String readLine(InputStream in) throws IOException {
        StringBuilder line = new StringBuilder();
        for (int c = in.read(); c != '\n'; c = in.read()) {
            if (c < 0) throw new IOException("the response ends early");
            if (c != '\r') line.append((char) c);
        }
        return line.toString();
    }
}

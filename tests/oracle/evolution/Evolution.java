/* SPDX-License-Identifier: MIT */
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import org.apache.avro.Schema;
import org.apache.avro.SchemaCompatibility;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;

/**
 * What Java's Avro says of two schemas. A line in: reader's schema, writer's schema, records of the writer in hex with commas between,
 * tab-separated. A line out: COMPATIBLE or why not (the question that a registry asks), a tab, and the same records as the reader's
 * schema writes them, or why they cannot be read.
 */
public class Evolution {
    private static String verdict(Schema reader, Schema writer) {
        var result = SchemaCompatibility.checkReaderWriterCompatibility(reader, writer).getResult();
        return result.getCompatibility() == SchemaCompatibility.SchemaCompatibilityType.COMPATIBLE
                ? "COMPATIBLE"
                : result.getIncompatibilities().toString();
    }

    private static String recode(Schema reader, Schema writer, String hex) throws Exception {
        var in = DecoderFactory.get().binaryDecoder(HexFormat.of().parseHex(hex), null);
        Object value = new GenericDatumReader<>(writer, reader).read(null, in);
        if (!in.isEnd())
            throw new IllegalStateException("bytes after the end");
        var out = new ByteArrayOutputStream();
        BinaryEncoder encoder = EncoderFactory.get().binaryEncoder(out, null);
        new GenericDatumWriter<>(reader).write(value, encoder);
        encoder.flush();
        return HexFormat.of().formatHex(out.toByteArray());
    }

    private static String recodeAll(Schema reader, Schema writer, String records) {
        var all = new StringBuilder();
        try {
            for (String hex : records.split(","))
                all.append(all.length() == 0 ? "" : ",").append(recode(reader, writer, hex));
        } catch (Exception e) {
            return e.toString();
        }
        return all.toString();
    }

    private static String oneLine(String text) {
        return text.replace('\n', ' ').replace('\t', ' ');
    }

    public static void main(String[] args) throws Exception {
        var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = in.readLine()) != null;) {
            String[] parts = line.split("\t", 3);
            Schema reader = new Schema.Parser().parse(parts[0]), writer = new Schema.Parser().parse(parts[1]);
            System.out.println(oneLine(verdict(reader, writer)) + "\t" + oneLine(recodeAll(reader, writer, parts[2])));
        }
    }
}

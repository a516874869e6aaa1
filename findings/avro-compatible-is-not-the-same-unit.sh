#!/usr/bin/env bash
# A registry's strictest compatibility check lets a field change from milliseconds to microseconds, and a decimal move its point.
#
# Versions   org.apache.avro:avro 1.12.1 (whose SchemaCompatibility Java registries ask; Apicurio 3.0.9 gave the same verdicts under
#            FULL_TRANSITIVE), fastavro 1.13.1. Java 17.
# Guess      FULL_TRANSITIVE means that old readers read new records, and new readers old ones, and get what was written.
# Behaviour  Logical types do not count: timestamp-millis to timestamp-micros, timestamp to local-timestamp, date to time-millis, a decimal's
#            scale from 2 to 4 are all COMPATIBLE both ways. Java's reader takes the writer's number under the reader's unit: 2026 becomes
#            January 1970, 12.34 becomes 0.1234, without an error. fastavro, given the same two schemas, goes by the writer's unit and is
#            right; so two readers of one record disagree.
# Freshet    Refuses times that are no milliseconds of our days, with the field and the likely unit (schemas, Limits).
# Needs      Java 17 with Maven, Python 3 with venv.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cat >pom.xml <<'XML'
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>example</groupId><artifactId>example</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.avro</groupId><artifactId>avro</artifactId><version>1.12.1</version></dependency>
  </dependencies>
</project>
XML
mvn -q -B dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory=libs >/dev/null
cat >Check.java <<'JAVA'
import java.io.ByteArrayOutputStream;
import java.math.BigDecimal;
import java.time.Instant;
import org.apache.avro.Conversions;
import org.apache.avro.Schema;
import org.apache.avro.SchemaCompatibility;
import org.apache.avro.data.TimeConversions;
import org.apache.avro.generic.*;
import org.apache.avro.io.*;

class Check {
  static Schema field(String type) {
    return new Schema.Parser().parse("{\"type\":\"record\",\"name\":\"E\",\"fields\":[{\"name\":\"x\",\"type\":" + type + "}]}");
  }

  static String logical(String base, String name) {
    return "{\"type\":\"" + base + "\",\"logicalType\":\"" + name + "\"}";
  }

  static void check(String what, String before, String after) {
    Schema a = field(before), b = field(after);
    System.out.println(what + ": " + SchemaCompatibility.checkReaderWriterCompatibility(a, b).getType() + " "
        + SchemaCompatibility.checkReaderWriterCompatibility(b, a).getType());
  }

  static Object read(Schema writer, Schema reader, Object value) throws Exception {
    GenericData data = new GenericData();
    data.addLogicalTypeConversion(new TimeConversions.TimestampMillisConversion());
    data.addLogicalTypeConversion(new TimeConversions.TimestampMicrosConversion());
    data.addLogicalTypeConversion(new Conversions.DecimalConversion());
    GenericRecord record = new GenericData.Record(writer);
    record.put("x", value);
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    BinaryEncoder encoder = EncoderFactory.get().binaryEncoder(out, null);
    new GenericDatumWriter<GenericRecord>(writer, data).write(record, encoder);
    encoder.flush();
    return new GenericDatumReader<GenericRecord>(writer, reader, data)
        .read(null, DecoderFactory.get().binaryDecoder(out.toByteArray(), null)).get("x");
  }

  public static void main(String[] args) throws Exception {
    String decimal = "{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":9,\"scale\":%d}";
    check("int to string", "\"int\"", "\"string\"");
    check("millis to micros", logical("long", "timestamp-millis"), logical("long", "timestamp-micros"));
    check("instant to local", logical("long", "timestamp-millis"), logical("long", "local-timestamp-millis"));
    check("date to time", logical("int", "date"), logical("int", "time-millis"));
    check("scale 2 to 4", String.format(decimal, 2), String.format(decimal, 4));
    System.out.println("Java reads "
        + read(field(logical("long", "timestamp-millis")), field(logical("long", "timestamp-micros")), Instant.parse("2026-11-30T00:00:00Z"))
        + " " + read(field(String.format(decimal, 2)), field(String.format(decimal, 4)), new BigDecimal("12.34")));
  }
}
JAVA
java -cp 'libs/*' Check.java 2>/dev/null | tee seen

python3 -m venv py
py/bin/pip -q --disable-pip-version-check install fastavro==1.13.1
cat >read.py <<'PY'
import datetime, decimal, io
import fastavro

def read(writer, reader, value):
    out = io.BytesIO()
    fastavro.schemaless_writer(out, writer, value)
    return fastavro.schemaless_reader(io.BytesIO(out.getvalue()), writer, reader)

def long(unit):
    return {"type": "long", "logicalType": unit}

def scale(n):
    return {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": n}

day = datetime.datetime(2026, 11, 30, tzinfo=datetime.timezone.utc)
print("fastavro reads", read(long("timestamp-millis"), long("timestamp-micros"), day), read(scale(2), scale(4), decimal.Decimal("12.34")))
PY
py/bin/python read.py | tee -a seen
cat >expected <<'SEEN'
int to string: INCOMPATIBLE INCOMPATIBLE
millis to micros: COMPATIBLE COMPATIBLE
instant to local: COMPATIBLE COMPATIBLE
date to time: COMPATIBLE COMPATIBLE
scale 2 to 4: COMPATIBLE COMPATIBLE
Java reads 1970-01-21T18:53:16.800Z 0.1234
fastavro reads 2026-11-30 00:00:00+00:00 12.34
SEEN
diff expected seen

// Calls weir with grpc-js, as `node grpcjs.js GRPC_JS TARGET`, and prints one line for each call.
"use strict";

const [library, target] = process.argv.slice(2);
const grpc = require(library);

const METHOD = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit";

function field(number, payload) {
  const head = [(number << 3) | 2];
  let length = payload.length;
  for (; length > 127; length >>>= 7) head.push((length & 127) | 128);
  return Buffer.concat([Buffer.from([...head, length]), payload]);
}

function request(value) {
  const entry = Buffer.concat([field(1, Buffer.from("api_key")), field(2, value)]);
  return Buffer.concat([field(1, Buffer.from("peeker")), field(2, field(1, entry))]);
}

function call(name, { value = Buffer.from("pk_live_1"), method = METHOD, metadata = {}, ...options } = {}) {
  const client = new grpc.Client(target, grpc.credentials.createInsecure(), options);
  const headers = grpc.Metadata.fromHttp2Headers(metadata);
  const same = (bytes) => bytes;
  return new Promise((resolve) => {
    const onAnswer = (error, answer) => {
      // The first field of an answer is its code: 1 is OK, 2 is OVER_LIMIT.
      console.log(`${name}: ${error ? grpc.status[error.code] : ["", "OK", "OVER_LIMIT"][answer[1]]}`);
      client.close();
      resolve();
    };
    const deadline = Date.now() + 60_000;
    client.makeUnaryRequest(method, same, same, request(value), headers, { deadline }, onAnswer);
  });
}

const long = (bytes) => Buffer.alloc(bytes, "x");

async function main() {
  await call("plain");
  await call("gzip", { value: long(10_000), "grpc.default_compression_algorithm": 2 });
  await call("authority", { "grpc.default_authority": "outbound|8081||ratelimit.ns.svc.cluster.local" });
  await call("metadata of 50 KB", { metadata: { "x-tenant": long(50_000).toString() } });
  await call("message of 3 MiB", { value: long(3 << 20) });
  await call("message of 5 MiB", { value: long(5 << 20) });
  await call("v2", { method: "/envoy.service.ratelimit.v2.RateLimitService/ShouldRateLimit" });
  await Promise.all(Array.from({ length: 200 }, (_, n) => call(`at once ${n}`)));
}

main();

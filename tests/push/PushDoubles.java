// SPDX-License-Identifier: MIT
// Doubles of Apple's and Google's push services, and of Google's token endpoint, in one process.
//
// Apple's is pushy's MockApnsServer: it verifies tokens, topics, priorities, types and sizes. Around it stands a shim (pushy reads
// signatures in DER, RFC 7518 writes them raw) and what a device token's first characters ask for. Google's is ours, kept honest by the
// tests that use it: Google's own schema of the request, its own client, and a stock reader of the assertion.
//
// Every request is a line of JSON in the log. Tokens steer the answers:
//   apns (hex)  de0…: 410 of long ago    de1…: 410 of now   bad…: BadDeviceToken   f0…: DeviceTokenNotForTopic   400…: BadPriority
//               429N…, 500N…, 503N…: TooManyRequests, InternalServerError, ServiceUnavailable for the first N tries (f: for ever)
//   fcm         unregistered:…  sender:…  bad-token:…  bad-request:…  quota:N:…  unavailable:N:…  internal:N:…  third-party:…
//               after:N:… 503 with Retry-After: 1   stall:N:… no answer   reset:N:… the connection ends
// anything else is taken. POST /control `name=value` lines: fcm = ok | down | stall | reset | goaway | denied, oauth = ok | down | denied,
// apns = ok | down | denied, expire = 1 (every access token is over), fast = 1 (no checks of Apple's, no log). GET /stats: counts.

import com.eatthepath.pushy.apns.auth.ApnsVerificationKey;
import com.eatthepath.pushy.apns.server.MockApnsServerBuilder;
import com.eatthepath.pushy.apns.server.PushNotificationHandler;
import com.eatthepath.pushy.apns.server.RejectedNotificationException;
import com.eatthepath.pushy.apns.server.RejectionReason;
import com.eatthepath.pushy.apns.server.UnregisteredDeviceTokenException;
import com.eatthepath.pushy.apns.server.ValidatingPushNotificationHandlerFactory;
import io.netty.bootstrap.ServerBootstrap;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.SimpleChannelInboundHandler;
import io.netty.channel.nio.NioEventLoopGroup;
import io.netty.channel.socket.SocketChannel;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.handler.codec.http.DefaultFullHttpResponse;
import io.netty.handler.codec.http.FullHttpRequest;
import io.netty.handler.codec.http.FullHttpResponse;
import io.netty.handler.codec.http.HttpObjectAggregator;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.HttpServerCodec;
import io.netty.handler.codec.http.HttpVersion;
import io.netty.handler.codec.http2.DefaultHttp2Connection;
import io.netty.handler.codec.http2.Http2Headers;
import io.netty.handler.codec.http2.Http2Settings;
import io.netty.handler.codec.http2.HttpConversionUtil;
import io.netty.handler.codec.http2.HttpToHttp2ConnectionHandlerBuilder;
import io.netty.handler.codec.http2.InboundHttp2ToHttpAdapterBuilder;
import io.netty.handler.ssl.ApplicationProtocolConfig;
import io.netty.handler.ssl.ApplicationProtocolNames;
import io.netty.handler.ssl.ApplicationProtocolNegotiationHandler;
import io.netty.handler.ssl.SslContext;
import io.netty.handler.ssl.SslContextBuilder;
import java.io.BufferedWriter;
import java.io.File;
import java.io.FileWriter;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.AbstractSet;
import java.util.Base64;
import java.util.Collections;
import java.util.Iterator;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

public class PushDoubles {
    static final Map<String, String> mode = new ConcurrentHashMap<>();
    static final Map<String, AtomicLong> stats = new ConcurrentHashMap<>();
    static final Map<String, AtomicLong> tries = new ConcurrentHashMap<>();
    static final Set<String> accessTokens = ConcurrentHashMap.newKeySet();
    static final AtomicLong tokenNumber = new AtomicLong();
    static BufferedWriter log;

    static String modeOf(String name) {
        return mode.getOrDefault(name, "ok");
    }

    static void count(String name) {
        stats.computeIfAbsent(name, k -> new AtomicLong()).incrementAndGet();
    }

    /** Whether this is still one of the first `n` tries ("f" or "ever": all are). */
    static boolean isFirst(String token, String n) {
        if (n.equals("f") || n.equals("ever"))
            return true;
        return tries.computeIfAbsent(token, k -> new AtomicLong()).incrementAndGet() <= Integer.parseInt(n);
    }

    static String quote(String s) {
        StringBuilder out = new StringBuilder("\"");
        for (char c : s.toCharArray()) {
            if (c == '"' || c == '\\')
                out.append('\\').append(c);
            else if (c < 0x20)
                out.append(String.format("\\u%04x", (int) c));
            else
                out.append(c);
        }
        return out.append('"').toString();
    }

    static synchronized void record(String to, String path, String headers, String body, int status) {
        try {
            log.write("{\"to\":" + quote(to) + ",\"at\":" + System.currentTimeMillis() + ",\"path\":" + quote(path) + ",\"headers\":" + headers
                    + ",\"body\":" + quote(body) + ",\"status\":" + status + "}\n");
            log.flush();
        } catch (IOException e) {
            throw new RuntimeException(e);
        }
    }

    static String headersAsJson(Iterable<? extends Map.Entry<? extends CharSequence, ? extends CharSequence>> headers) {
        StringBuilder out = new StringBuilder("{");
        for (Map.Entry<? extends CharSequence, ? extends CharSequence> h : headers)
            out.append(out.length() > 1 ? "," : "").append(quote(h.getKey().toString())).append(':').append(quote(h.getValue().toString()));
        return out.append('}').toString();
    }

    // ---- Apple

    /** Every device has the app. */
    static final class Everything extends AbstractSet<String> {
        @Override public boolean contains(Object o) { return true; }
        @Override public Iterator<String> iterator() { return Collections.emptyIterator(); }
        @Override public int size() { return 1; }
    }

    /** A raw ES256 signature (RFC 7518) as the DER that pushy's verification reads. */
    static String withDerSignature(String token) {
        String[] part = token.split("\\.");
        if (part.length != 3)
            return token;
        byte[] raw = Base64.getUrlDecoder().decode(part[2]);
        if (raw.length != 64)
            return token;
        byte[] r = new java.math.BigInteger(1, java.util.Arrays.copyOfRange(raw, 0, 32)).toByteArray();
        byte[] s = new java.math.BigInteger(1, java.util.Arrays.copyOfRange(raw, 32, 64)).toByteArray();
        java.nio.ByteBuffer der = java.nio.ByteBuffer.allocate(6 + r.length + s.length);
        der.put((byte) 0x30).put((byte) (4 + r.length + s.length));
        der.put((byte) 2).put((byte) r.length).put(r).put((byte) 2).put((byte) s.length).put(s);
        return part[0] + "." + part[1] + "." + Base64.getUrlEncoder().withoutPadding().encodeToString(der.array());
    }

    static void behave(String token) throws RejectedNotificationException {
        if (modeOf("apns").equals("down"))
            throw new RejectedNotificationException(RejectionReason.SERVICE_UNAVAILABLE);
        if (modeOf("apns").equals("denied"))
            throw new RejectedNotificationException(RejectionReason.INVALID_PROVIDER_TOKEN);
        if (token.startsWith("de0"))
            throw new UnregisteredDeviceTokenException(Instant.ofEpochMilli(1000));
        if (token.startsWith("de1"))
            throw new UnregisteredDeviceTokenException(Instant.now());
        if (token.startsWith("bad"))
            throw new RejectedNotificationException(RejectionReason.BAD_DEVICE_TOKEN);
        if (token.startsWith("f0"))
            throw new RejectedNotificationException(RejectionReason.DEVICE_TOKEN_NOT_FOR_TOPIC);
        if (token.startsWith("400"))
            throw new RejectedNotificationException(RejectionReason.BAD_PRIORITY);
        if (token.startsWith("429") && isFirst(token, token.substring(3, 4)))
            throw new RejectedNotificationException(RejectionReason.TOO_MANY_REQUESTS);
        if (token.startsWith("500") && isFirst(token, token.substring(3, 4)))
            throw new RejectedNotificationException(RejectionReason.INTERNAL_SERVER_ERROR);
        if (token.startsWith("503") && isFirst(token, token.substring(3, 4)))
            throw new RejectedNotificationException(RejectionReason.SERVICE_UNAVAILABLE);
    }

    static String reasonOf(RejectedNotificationException e) {
        try {
            java.lang.reflect.Method m = RejectedNotificationException.class.getDeclaredMethod("getRejectionReason");
            m.setAccessible(true);
            return m.invoke(e).toString();
        } catch (ReflectiveOperationException x) {
            return "?";
        }
    }

    static PushNotificationHandler apnsHandler(PushNotificationHandler checks) {
        return (Http2Headers headers, ByteBuf payload) -> {
            String path = headers.path().toString(), device = path.substring(path.lastIndexOf('/') + 1);
            count("apns");
            if (mode.containsKey("fast"))
                return;
            String body = payload == null ? "" : payload.toString(StandardCharsets.UTF_8), shown = headersAsJson(headers);
            CharSequence auth = headers.get("authorization");
            if (auth != null && auth.toString().startsWith("bearer "))
                headers.set("authorization", "bearer " + withDerSignature(auth.toString().substring(7)));
            try {
                checks.handlePushNotification(headers, payload);
                behave(device);
                record("apns", path, shown, body, 200);
            } catch (RejectedNotificationException e) {
                record("apns " + reasonOf(e), path, shown, body, 400);
                throw e;
            }
        };
    }

    static void startApns(int port, File cert, File key, File publicKey, String team, String kid, String topic) throws Exception {
        ApnsVerificationKey verify = ApnsVerificationKey.loadFromPkcs8File(publicKey, team, kid);
        ValidatingPushNotificationHandlerFactory checks = new ValidatingPushNotificationHandlerFactory(
                Map.of(topic, new Everything()), Collections.emptyMap(), Map.of(kid, verify), Map.of(verify, Set.of(topic)));
        new MockApnsServerBuilder().setServerCredentials(cert, key, null).setUseAlpn(true).setMaxConcurrentStreams(1000)
                .generateApnsUniqueId(true).setHandlerFactory(session -> apnsHandler(checks.buildHandler(session))).build().start(port).get();
    }

    // ---- Google

    static final Pattern TOKEN = Pattern.compile("\"(?:token|fid)\"\\s*:\\s*\"((?:[^\"\\\\]|\\\\.)*)\"");

    static String googleError(int code, String status, String errorCode, String message, boolean ours) {
        String detail = errorCode == null ? ""
                : "{\"@type\":\"type.googleapis.com/google.firebase.fcm.v1.FcmError\",\"errorCode\":\"" + errorCode + "\"}";
        if (ours)
            detail += ",{\"@type\":\"type.googleapis.com/google.rpc.BadRequest\",\"fieldViolations\":[{\"field\":\"message\"}]}";
        return "{\"error\":{\"code\":" + code + ",\"message\":" + quote(message) + ",\"status\":\"" + status + "\",\"details\":[" + detail + "]}}";
    }

    record Reply(int status, String body, String retryAfter) {
        static Reply ok(String body) { return new Reply(200, body, null); }
        static Reply error(int code, String status, String errorCode, String message) {
            return new Reply(code, googleError(code, status, errorCode, message, false), null);
        }
    }

    static final Reply STALL = new Reply(0, "stall", null), RESET = new Reply(-1, "reset", null);

    static Reply byToken(String token) {
        String[] part = token.split(":");
        String n = part.length > 1 ? part[1] : "0";
        switch (part[0]) {
        case "unregistered":
            return Reply.error(404, "NOT_FOUND", "UNREGISTERED", "Requested entity was not found.");
        case "sender":
            return Reply.error(403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH", "SenderId mismatch");
        case "bad-token":
            return Reply.error(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "The registration token is not a valid FCM registration token");
        case "bad-request":
            return new Reply(400, googleError(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "Invalid value at 'message'", true), null);
        case "third-party":
            return Reply.error(401, "UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR", "Auth error from APNS or Web Push Service");
        case "quota":
            if (isFirst(token, n))
                return new Reply(429, googleError(429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", "Quota exceeded", false), "1");
            break;
        case "quota-for-days":
            if (isFirst(token, n))
                return new Reply(429, googleError(429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", "Quota exceeded", false), "999999");
            break;
        case "unavailable":
            if (isFirst(token, n))
                return Reply.error(503, "UNAVAILABLE", "UNAVAILABLE", "The service is currently unavailable");
            break;
        case "after":
            if (isFirst(token, n))
                return new Reply(503, googleError(503, "UNAVAILABLE", "UNAVAILABLE", "Later, please", false), "1");
            break;
        case "internal":
            if (isFirst(token, n))
                return Reply.error(500, "INTERNAL", "INTERNAL", "Internal error encountered.");
            break;
        case "stall":
            if (isFirst(token, n))
                return STALL;
            break;
        case "reset":
            if (isFirst(token, n))
                return RESET;
            break;
        default:
            break;
        }
        return null;
    }

    static Reply send(FullHttpRequest request, String body) {
        String auth = request.headers().get("authorization", "");
        count("fcm");
        switch (modeOf("fcm")) {
        case "down":
            return Reply.error(503, "UNAVAILABLE", "UNAVAILABLE", "The service is currently unavailable");
        case "stall":
            return STALL;
        case "reset":
            return RESET;
        case "reset-tenth":
            if (stats.get("fcm").get() % 10 == 0)
                return RESET;
            break;
        case "denied":
            return Reply.error(403, "PERMISSION_DENIED", null, "Permission denied on this project");
        default:
            break;
        }
        if (!auth.startsWith("Bearer ") || !accessTokens.contains(auth.substring(7)))
            return Reply.error(401, "UNAUTHENTICATED", null, "Request had invalid authentication credentials");
        Matcher m = TOKEN.matcher(body);
        if (!m.find())
            return new Reply(400, googleError(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "no token", true), null);
        Reply special = byToken(m.group(1));
        return special != null ? special : Reply.ok("{\"name\":\"projects/demo/messages/" + stats.get("fcm").get() + "\"}");
    }

    static Reply grant(String body) {
        count("oauth");
        if (modeOf("oauth").equals("down"))
            return new Reply(503, "{\"error\":\"temporarily_unavailable\"}", null);
        if (modeOf("oauth").equals("denied"))
            return new Reply(400, "{\"error\":\"invalid_grant\",\"error_description\":\"Invalid JWT Signature.\"}", null);
        String token = "ya29.double-" + tokenNumber.incrementAndGet();
        accessTokens.add(token);
        return Reply.ok("{\"access_token\":\"" + token + "\",\"expires_in\":3599,\"token_type\":\"Bearer\"}");
    }

    static Reply control(String body) {
        for (String line : body.split("\n")) {
            String[] pair = line.trim().split("=", 2);
            if (pair[0].equals("expire"))
                accessTokens.clear();
            else if (pair.length == 2)
                mode.put(pair[0], pair[1]);
        }
        return Reply.ok("{}");
    }

    static Reply statsReply() {
        StringBuilder out = new StringBuilder("{");
        stats.forEach((k, v) -> out.append(out.length() > 1 ? "," : "").append(quote(k)).append(':').append(v.get()));
        return Reply.ok(out.append('}').toString());
    }

    static final class Google extends SimpleChannelInboundHandler<FullHttpRequest> {
        @Override public void channelActive(ChannelHandlerContext ctx) {
            ctx.fireChannelActive();
        }

        @Override protected void channelRead0(ChannelHandlerContext ctx, FullHttpRequest request) {
            String path = request.uri(), body = request.content().toString(StandardCharsets.UTF_8);
            Reply reply;
            if (path.equals("/control"))
                reply = control(body);
            else if (path.equals("/stats"))
                reply = statsReply();
            else if (path.equals("/token"))
                reply = grant(body);
            else if (path.startsWith("/v1/projects/") && path.endsWith("/messages:send"))
                reply = send(request, body);
            else
                reply = Reply.error(404, "NOT_FOUND", null, "no such path");
            if (!path.equals("/control") && !path.equals("/stats") && !mode.containsKey("fast"))
                record(path.equals("/token") ? "oauth" : "fcm", path, headersAsJson(request.headers().entries()), body, reply.status());
            if (reply == STALL)
                return;
            if (reply == RESET) {
                // past the HTTP/2 handler, which would say goodbye and wait for its open streams
                ctx.channel().config().setOption(ChannelOption.SO_LINGER, 0);
                ctx.channel().unsafe().closeForcibly();
                return;
            }
            answer(ctx, request, reply);
            if (path.endsWith(":send") && modeOf("fcm").equals("goaway"))
                ctx.close(); // HTTP/2: GOAWAY, and the end once every stream has ended
        }

        static void answer(ChannelHandlerContext ctx, FullHttpRequest request, Reply reply) {
            FullHttpResponse response = new DefaultFullHttpResponse(HttpVersion.HTTP_1_1, HttpResponseStatus.valueOf(reply.status()),
                    Unpooled.copiedBuffer(reply.body(), StandardCharsets.UTF_8));
            String stream = request.headers().get(HttpConversionUtil.ExtensionHeaderNames.STREAM_ID.text());
            if (stream != null)
                response.headers().set(HttpConversionUtil.ExtensionHeaderNames.STREAM_ID.text(), stream);
            response.headers().set("content-type", "application/json").setInt("content-length", response.content().readableBytes());
            if (reply.retryAfter() != null)
                response.headers().set("retry-after", reply.retryAfter());
            ctx.writeAndFlush(response);
        }

        @Override public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
            ctx.close();
        }
    }

    static final class Negotiation extends ApplicationProtocolNegotiationHandler {
        Negotiation() {
            super(ApplicationProtocolNames.HTTP_1_1);
        }

        @Override protected void configurePipeline(ChannelHandlerContext ctx, String protocol) {
            count("fcm connections " + protocol);
            if (protocol.equals(ApplicationProtocolNames.HTTP_2)) {
                DefaultHttp2Connection connection = new DefaultHttp2Connection(true);
                ctx.pipeline().addLast(new HttpToHttp2ConnectionHandlerBuilder().connection(connection)
                        .initialSettings(Http2Settings.defaultSettings().maxConcurrentStreams(1000))
                        .frameListener(new InboundHttp2ToHttpAdapterBuilder(connection).maxContentLength(1 << 20).build()).build());
            } else {
                ctx.pipeline().addLast(new HttpServerCodec(), new HttpObjectAggregator(1 << 20));
            }
            ctx.pipeline().addLast(new Google());
        }
    }

    static void startGoogle(int port, File cert, File key) throws Exception {
        SslContext ssl = SslContextBuilder.forServer(cert, key)
                .applicationProtocolConfig(new ApplicationProtocolConfig(ApplicationProtocolConfig.Protocol.ALPN,
                        ApplicationProtocolConfig.SelectorFailureBehavior.NO_ADVERTISE,
                        ApplicationProtocolConfig.SelectedListenerFailureBehavior.ACCEPT, ApplicationProtocolNames.HTTP_2,
                        ApplicationProtocolNames.HTTP_1_1))
                .build();
        new ServerBootstrap().group(new NioEventLoopGroup(2)).channel(NioServerSocketChannel.class)
                .childHandler(new ChannelInitializer<SocketChannel>() {
                    @Override protected void initChannel(SocketChannel ch) {
                        ch.pipeline().addLast(ssl.newHandler(ch.alloc()), new Negotiation());
                    }
                }).bind("127.0.0.1", port).sync();
    }

    /** apns port, fcm port, folder with cert.pem, key.pem, apns.pub, team, key's name, topic, log file. */
    public static void main(String[] a) throws Exception {
        File folder = new File(a[2]);
        File cert = new File(folder, "cert.pem"), key = new File(folder, "key.pem");
        log = new BufferedWriter(new FileWriter(a[6], StandardCharsets.UTF_8, true));
        startApns(Integer.parseInt(a[0]), cert, key, new File(folder, "apns.pub"), a[3], a[4], a[5]);
        startGoogle(Integer.parseInt(a[1]), cert, key);
        System.out.println("doubles ready");
    }
}

//! Why a call or a connection was not served: a label for metrics, and advice for the log.

/// A reason to reject a call or to end a connection before its service decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rejection {
    /// As many connections are open as the server may have.
    TooManyConnections,
    /// The client speaks HTTP/1.
    Http1,
    /// The client begins a TLS handshake on a port without TLS.
    Tls,
    /// The client sends a PROXY protocol header.
    ProxyProtocol,
    /// The first bytes belong to no protocol that is known.
    UnknownProtocol,
    /// The client was silent, or did not finish the preface.
    PrefaceTimeout,
    /// Frames that RFC 9113 forbids.
    ProtocolError,
    /// A header block that is not HPACK.
    CompressionError,
    /// More DATA than the windows allow.
    FlowControlError,
    /// Too many frames that bring no call: RST_STREAM, PING, SETTINGS, empty frames.
    TooManyFrames,
    /// A header block without an end.
    HeaderBlockTooLong,
    /// The client does not read answers.
    WriteTimeout,
    /// The client does not answer PINGs.
    PingTimeout,
    /// A request that is not a POST.
    NotACall,
    /// A path of no service.
    UnknownPath,
    /// A request that RFC 9113 calls malformed.
    MalformedHead,
    /// Header fields beyond the limit.
    HeadersTooLong,
    /// A message beyond the limit.
    MessageTooLong,
    /// A body that is not one gRPC message.
    MalformedMessage,
    /// A compressed message whose encoding is not accepted.
    UnknownEncoding,
    /// A call that did not arrive in time.
    CallTimeout,
    /// More calls at once than a connection may have.
    TooManyStreams,
    /// No bytes left for unfinished messages.
    NoBudget,
    /// Answers that the client's flow control does not let out.
    AnswerBlocked,
    /// The client speaks without TLS on a port with it.
    TlsPlaintext,
    /// The client has no certificate.
    TlsNoClientCertificate,
    /// The client's certificate is of an unknown CA.
    TlsUnknownCa,
    /// The client's certificate is not valid at this time.
    TlsExpired,
    /// The client's certificate has none of the allowed names.
    TlsNameNotAllowed,
    /// The client's certificate has another fault.
    TlsBadClientCertificate,
    /// The client does not trust the server's certificate.
    TlsCertificateRefused,
    /// The client has no version or algorithm in common with the server.
    TlsIncompatible,
    /// The client names protocols (ALPN), and not that of the port.
    TlsNoCommonProtocol,
    /// The handshake failed for another reason.
    TlsAborted,
    /// The handshake took too long.
    TlsTimeout,
    /// More handshakes at once than the port may have, and this was the oldest.
    TlsTooManyHandshakes,
    /// The client speaks HTTP/2 on a port for HTTP/1.1.
    Http2,
}

impl Rejection {
    /// Every reason, in the order of their numbers.
    pub const ALL: [Self; 37] = [
        Self::TooManyConnections,
        Self::Http1,
        Self::Tls,
        Self::ProxyProtocol,
        Self::UnknownProtocol,
        Self::PrefaceTimeout,
        Self::ProtocolError,
        Self::CompressionError,
        Self::FlowControlError,
        Self::TooManyFrames,
        Self::HeaderBlockTooLong,
        Self::WriteTimeout,
        Self::PingTimeout,
        Self::NotACall,
        Self::UnknownPath,
        Self::MalformedHead,
        Self::HeadersTooLong,
        Self::MessageTooLong,
        Self::MalformedMessage,
        Self::UnknownEncoding,
        Self::CallTimeout,
        Self::TooManyStreams,
        Self::NoBudget,
        Self::AnswerBlocked,
        Self::TlsPlaintext,
        Self::TlsNoClientCertificate,
        Self::TlsUnknownCa,
        Self::TlsExpired,
        Self::TlsNameNotAllowed,
        Self::TlsBadClientCertificate,
        Self::TlsCertificateRefused,
        Self::TlsIncompatible,
        Self::TlsNoCommonProtocol,
        Self::TlsAborted,
        Self::TlsTimeout,
        Self::TlsTooManyHandshakes,
        Self::Http2,
    ];

    /// The label for metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooManyConnections => "too_many_connections",
            Self::Http1 => "http1",
            Self::Tls => "tls",
            Self::ProxyProtocol => "proxy_protocol",
            Self::UnknownProtocol => "unknown_protocol",
            Self::PrefaceTimeout => "preface_timeout",
            Self::ProtocolError => "protocol_error",
            Self::CompressionError => "compression_error",
            Self::FlowControlError => "flow_control_error",
            Self::TooManyFrames => "too_many_frames",
            Self::HeaderBlockTooLong => "header_block_too_long",
            Self::WriteTimeout => "write_timeout",
            Self::PingTimeout => "ping_timeout",
            Self::NotACall => "not_a_call",
            Self::UnknownPath => "unknown_path",
            Self::MalformedHead => "malformed_head",
            Self::HeadersTooLong => "headers_too_long",
            Self::MessageTooLong => "message_too_long",
            Self::MalformedMessage => "malformed_message",
            Self::UnknownEncoding => "unknown_encoding",
            Self::CallTimeout => "call_timeout",
            Self::TooManyStreams => "too_many_streams",
            Self::NoBudget => "no_budget",
            Self::AnswerBlocked => "answer_blocked",
            Self::TlsPlaintext => "tls_plaintext",
            Self::TlsNoClientCertificate => "tls_no_client_certificate",
            Self::TlsUnknownCa => "tls_unknown_ca",
            Self::TlsExpired => "tls_expired",
            Self::TlsNameNotAllowed => "tls_name_not_allowed",
            Self::TlsBadClientCertificate => "tls_bad_client_certificate",
            Self::TlsCertificateRefused => "tls_certificate_refused",
            Self::TlsIncompatible => "tls_incompatible",
            Self::TlsNoCommonProtocol => "tls_no_common_protocol",
            Self::TlsAborted => "tls_aborted",
            Self::TlsTimeout => "tls_timeout",
            Self::TlsTooManyHandshakes => "tls_too_many_handshakes",
            Self::Http2 => "http2",
        }
    }

    /// What an operator can do about it.
    pub fn advice(self) -> &'static str {
        match self {
            Self::TooManyConnections => {
                "a connection was refused, too many are open: check what connects to the gRPC port, or raise --max-connections"
            }
            Self::Http1 => {
                "a client sent HTTP/1: set http2_protocol_options on the Envoy cluster of the rate limit service"
            }
            Self::Tls => {
                "a client began TLS on a port without it: remove transport_socket from the Envoy cluster, or serve with TLS (--grpc-tls-cert)"
            }
            Self::ProxyProtocol => {
                "a client sent a PROXY protocol header: turn it off in the load balancer before this port"
            }
            Self::UnknownProtocol => {
                "a client does not speak HTTP/2: check what connects to the gRPC port"
            }
            Self::PrefaceTimeout => {
                "a client connected and said nothing: check TCP health checks and port scanners"
            }
            Self::ProtocolError | Self::CompressionError | Self::FlowControlError => {
                "a client broke the rules of HTTP/2, and its connection was closed: check the client's version"
            }
            Self::TooManyFrames => {
                "a client sent many frames and few calls, and its connection was closed: check who reaches the gRPC port"
            }
            Self::HeaderBlockTooLong => {
                "a client sent more headers than Envoy can be configured to send, and its connection was closed"
            }
            Self::WriteTimeout => {
                "a client did not read its answers, and its connection was closed"
            }
            Self::PingTimeout => "a client did not answer pings, and its connection was closed",
            Self::NotACall => {
                "a client sent a request that is not a gRPC call: check what connects to the gRPC port"
            }
            Self::UnknownPath => {
                "a client called another service: only envoy.service.ratelimit.v3 is served, so set transport_api_version: V3"
            }
            Self::MalformedHead => {
                "a client sent a request that HTTP/2 does not allow: check its metadata"
            }
            Self::HeadersTooLong => {
                "a client sent too many headers: check what initial_metadata and tracers forward"
            }
            Self::MessageTooLong => {
                "a client sent a message that is too long: check its descriptors"
            }
            Self::MalformedMessage => "a client sent something else than one gRPC message",
            Self::UnknownEncoding => {
                "a client compressed a message: only gzip and identity are accepted"
            }
            Self::CallTimeout => {
                "a client did not finish a call that it began: check the network before the gRPC port"
            }
            Self::TooManyStreams => "a client made too many calls at once on one connection",
            Self::NoBudget => {
                "too many long messages arrive at once: check who reaches the gRPC port"
            }
            Self::AnswerBlocked => {
                "a client does not make room for its answers (HTTP/2 flow control)"
            }
            Self::TlsPlaintext => {
                "a client spoke without TLS on a port with it: give the Envoy cluster a transport_socket with TLS, or use https://"
            }
            Self::TlsNoClientCertificate => {
                "a client showed no certificate and the port requires one: set tls_certificates in the Envoy cluster's common_tls_context"
            }
            Self::TlsUnknownCa => {
                "a client's certificate is not signed by a CA that the port knows: compare its issuer with the client CA file"
            }
            Self::TlsExpired => {
                "a client's certificate has expired or is not yet valid: renew it, and check the clocks"
            }
            Self::TlsNameNotAllowed => {
                "a client's certificate has none of the names that the port allows: compare its DNS and URI names with --grpc-client-san or --http-client-san"
            }
            Self::TlsBadClientCertificate => {
                "a client's certificate is not fit for clients: check its extended key usage (clientAuth), its algorithms, and that it is not a CA itself"
            }
            Self::TlsCertificateRefused => {
                "a client does not trust the certificate of weir: check the CA and the names that the client expects, and whether the certificate has expired"
            }
            Self::TlsIncompatible => {
                "a client has no TLS version or algorithm in common with weir: it must speak TLS 1.2 or 1.3"
            }
            Self::TlsNoCommonProtocol => {
                "a client asked for another protocol (ALPN) than the port speaks: h2 for gRPC, http/1.1 for --http"
            }
            Self::TlsAborted => {
                "a client broke off a TLS handshake: check that it trusts the certificate of weir, and its version"
            }
            Self::TlsTimeout => {
                "a client did not finish a TLS handshake: check TCP health checks, port scanners and the network"
            }
            Self::TlsTooManyHandshakes => {
                "a TLS handshake was given up because too many others were waiting: check what connects to the port"
            }
            Self::Http2 => "a client sent HTTP/2 to --http, which speaks HTTP/1.1: use --grpc",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_number_and_a_label_of_its_own() {
        let mut labels: Vec<_> = Rejection::ALL.map(Rejection::as_str).into();
        for (index, reason) in Rejection::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index, "{reason:?}");
        }
        labels.sort_unstable();
        labels.dedup();
        assert_eq!(labels.len(), Rejection::ALL.len());
    }
}

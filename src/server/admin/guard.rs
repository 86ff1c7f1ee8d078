//! Access control: rejects requests from pages of other sites, and checks the token.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, HOST, ORIGIN, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::AdminState;

/// Checks the origin of every request, and adds security headers to every response.
pub(super) async fn guard(
    State(state): State<Arc<AdminState>>,
    request: Request,
    next: Next,
) -> Response {
    if let Err(reason) = check_origin(request.headers(), state.is_loopback) {
        return (StatusCode::FORBIDDEN, reason).into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A browser on this machine can connect to weir, and so can every page in it.
fn check_origin(headers: &HeaderMap, is_loopback: bool) -> Result<(), &'static str> {
    let text = |name| {
        let value: Option<&HeaderValue> = headers.get(name);
        value.map(|value| value.to_str().unwrap_or_default())
    };
    let host = text(HOST).unwrap_or_default();
    // DNS rebinding: a foreign name that resolves to this machine.
    if is_loopback && !host.is_empty() && !is_this_machine(host) {
        return Err("this server is only for this machine: use localhost as the host\n");
    }
    match text(ORIGIN) {
        Some(origin) if origin.split_once("://").map(|(_, host)| host) != Some(host) => {
            Err("requests from pages of other sites are not permitted\n")
        }
        _ => Ok(()),
    }
}

fn is_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = |address: IpAddr| address.is_loopback();
    name.eq_ignore_ascii_case("localhost") || address.parse().is_ok_and(is_loopback)
}

/// Permits requests with the token, from this machine only: the connection is not encrypted, and
/// neither the token nor the value of a secret key may cross a network in clear.
pub(super) fn authorize(
    state: &AdminState,
    headers: &HeaderMap,
    peer: SocketAddr,
) -> Result<(), AccessDenied> {
    let Some(token) = &state.admin.token else {
        return Err(AccessDenied::NoToken);
    };
    if !peer.ip().to_canonical().is_loopback() {
        return Err(AccessDenied::Remote);
    }
    let offered = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
    let offered = offered.and_then(|offered| {
        let (scheme, token) = offered.split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"bearer ").then_some(token)
    });
    match offered.map(|offered| token.matches(offered)) {
        Some(Ok(true)) => Ok(()),
        None | Some(Ok(false)) => Err(AccessDenied::Unauthorized),
        Some(Err(error)) => {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "cannot read the admin token"
            );
            Err(AccessDenied::NoToken)
        }
    }
}

/// Why a request is not permitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AccessDenied {
    /// The server has no token.
    NoToken,
    /// The request came from another machine.
    Remote,
    /// The request's token is missing or wrong.
    Unauthorized,
}

impl IntoResponse for AccessDenied {
    fn into_response(self) -> Response {
        let (status, reason) = match self {
            Self::NoToken => (
                StatusCode::FORBIDDEN,
                "a token is required: start weir with --admin-token-file\n",
            ),
            Self::Remote => (
                StatusCode::FORBIDDEN,
                "only permitted from the same machine: use a tunnel\n",
            ),
            Self::Unauthorized => (
                StatusCode::UNAUTHORIZED,
                "the token of --admin-token-file is required, as `Authorization: Bearer …`\n",
            ),
        };
        (status, reason).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(axum::http::HeaderName, &str)]) -> HeaderMap {
        let pair = |(name, value): &(axum::http::HeaderName, &str)| {
            (name.clone(), HeaderValue::from_str(value).unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn pages_of_other_sites_are_rejected() {
        for (host, origin, is_fine) in [
            ("localhost:8080", None, true),
            ("127.0.0.1:8080", Some("http://127.0.0.1:8080"), true),
            ("[::1]:8080", None, true),
            ("[::1]", Some("http://[::1]"), true),
            ("LOCALHOST", None, true),
            ("evil.example", None, false),
            ("evil.example:8080", Some("http://evil.example:8080"), false),
            ("localhost.evil.example", None, false),
            ("localhost:8080", Some("https://evil.example"), false),
            ("localhost:8080", Some("null"), false),
        ] {
            let mut pairs = vec![(HOST, host)];
            pairs.extend(origin.map(|origin| (ORIGIN, origin)));
            assert_eq!(
                check_origin(&headers(&pairs), true).is_ok(),
                is_fine,
                "{pairs:?}"
            );
        }
        let from_afar = [(HOST, "weir.example"), (ORIGIN, "http://weir.example")];
        assert!(check_origin(&headers(&from_afar), false).is_ok());
        let other = [(HOST, "weir.example"), (ORIGIN, "http://evil.example")];
        assert!(check_origin(&headers(&other), false).is_err());
    }
}

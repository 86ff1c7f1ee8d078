//! Access control: rejects requests from pages of other sites, and checks the token.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, HOST, ORIGIN, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::{Access, AdminState, JsonAccess, Peer};

/// The longest body of a request, in bytes.
const MAX_BODY_BYTES: usize = 1 << 20;

/// The name that stands for every host.
const ANY_HOST: &str = "*";

/// How long the body of a request may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Checks the host, the origin and the permission of every request, and adds security headers to every
/// response.
pub(super) async fn guard(
    State((state, access)): State<(Arc<AdminState>, Access)>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    let hosts = (access != Access::Anybody).then_some(&*state.admin.config.hosts);
    if let Err(reason) = check_origin(headers, hosts, peer.is_on_loopback) {
        return (StatusCode::FORBIDDEN, reason).into_response();
    }
    if let Err(denied) = check_access(&state, access, headers, peer) {
        return denied.into_response();
    }
    let mut response = match *request.method() {
        Method::POST => with_body(&state, request, next).await,
        _ => next.run(request).await,
    };
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Reads the body, of bounded length and in bounded time, before the request is handled. Only a few
/// are in memory at once.
async fn with_body(state: &AdminState, request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let read = async {
        // The semaphore is never closed.
        let permit = state.bodies.acquire().await.ok();
        (permit, to_bytes(body, MAX_BODY_BYTES).await)
    };
    match tokio::time::timeout(BODY_TIMEOUT, read).await {
        Ok((_permit, Ok(body))) => next.run(Request::from_parts(head, Body::from(body))).await,
        Ok((_, Err(_))) => {
            let reason = format!("the body is incomplete, or longer than {MAX_BODY_BYTES} bytes\n");
            (StatusCode::PAYLOAD_TOO_LARGE, reason).into_response()
        }
        Err(_) => (StatusCode::REQUEST_TIMEOUT, "the body took too long\n").into_response(),
    }
}

/// Whether the endpoint is open to this request. What `/json` asks for is checked where it is known.
fn check_access(
    state: &AdminState,
    access: Access,
    headers: &HeaderMap,
    peer: Peer,
) -> Result<(), AccessDenied> {
    let is_open = match access {
        Access::Anybody | Access::NamedHost => true,
        Access::Charging => match state.admin.config.json {
            JsonAccess::ThisMachine => peer.is_local(),
            JsonAccess::Everybody => true,
            JsonAccess::Nobody => false,
        },
        Access::Clients => state.admin.token.is_none() && peer.is_on_loopback,
        Access::Token => false,
    };
    match is_open {
        true => Ok(()),
        false => authorize(state, headers, peer),
    }
}

/// A browser that can connect to weir lets every page in it connect. Without `hosts`, every host is
/// permitted.
fn check_origin(
    headers: &HeaderMap,
    hosts: Option<&[String]>,
    is_loopback: bool,
) -> Result<(), &'static str> {
    let text = |name| {
        let value: Option<&HeaderValue> = headers.get(name);
        value.map(|value| value.to_str().unwrap_or_default())
    };
    let host = text(HOST).unwrap_or_default();
    // DNS rebinding: a foreign name that resolves to this machine.
    if let Some(hosts) = hosts
        && !host.is_empty()
        && !is_permitted(host, hosts, is_loopback)
    {
        return Err(
            "unknown host: use localhost or an address of weir, or name the host with --http-host\n",
        );
    }
    match text(ORIGIN) {
        Some(origin) if origin.split_once("://").map(|(_, host)| host) != Some(host) => {
            Err("requests from pages of other sites are not permitted\n")
        }
        _ => Ok(()),
    }
}

/// Whether requests for this host are answered. Another site can have its name lead to this machine (DNS rebinding), but not
/// an address: an address is accepted, on loopback only one of loopback, and of names only those that are known.
fn is_permitted(host: &str, hosts: &[String], is_loopback: bool) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    let leads_here = |address: IpAddr| !is_loopback || address.is_loopback();
    let mut names = hosts.iter().map(String::as_str).chain(["localhost"]);
    names.any(|known| known == ANY_HOST || name.eq_ignore_ascii_case(known))
        || address.parse().is_ok_and(leads_here)
}

/// Permits requests with the token, from other machines only with TLS: neither the token nor the value of a secret
/// key may cross a network in clear.
pub(super) fn authorize(
    state: &AdminState,
    headers: &HeaderMap,
    peer: Peer,
) -> Result<(), AccessDenied> {
    let Some(token) = &state.admin.token else {
        return Err(AccessDenied::NoToken);
    };
    if !peer.is_encrypted && !peer.is_local() {
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
    /// The request came from another machine without TLS.
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
                "without TLS only permitted from the same machine: use a tunnel, or start weir with --http-tls-cert\n",
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
                check_origin(&headers(&pairs), Some(&[]), true).is_ok(),
                is_fine,
                "{pairs:?}"
            );
        }
        let other = [(HOST, "weir.example"), (ORIGIN, "http://evil.example")];
        assert!(check_origin(&headers(&other), None, false).is_err());
    }

    #[test]
    fn beyond_loopback_names_of_hosts_must_be_known() {
        let known = ["weir.example".to_owned()];
        for (host, is_loopback, is_fine) in [
            ("weir.example", false, true),
            ("WEIR.example:8080", true, true),
            ("10.0.0.7:8080", false, true),
            ("10.0.0.7:8080", true, false),
            ("[fd00::1]:8080", false, true),
            ("localhost", false, true),
            ("evil.example", false, false),
            ("x.weir.example", false, false),
        ] {
            let headers = headers(&[(HOST, host)]);
            let checked = check_origin(&headers, Some(&known), is_loopback);
            assert_eq!(checked.is_ok(), is_fine, "{host}");
            assert!(check_origin(&headers, None, is_loopback).is_ok(), "{host}");
            let any = [ANY_HOST.to_owned()];
            assert!(
                check_origin(&headers, Some(&any), is_loopback).is_ok(),
                "{host}"
            );
        }
    }
}

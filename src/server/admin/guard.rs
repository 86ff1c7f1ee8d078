//! Who may ask: no page of another site, and for some things only who knows the token.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, HOST, ORIGIN, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::AdminState;

/// Looks at every request before it is answered, and at every answer.
pub(super) async fn guard(
    State(shared): State<Arc<AdminState>>,
    request: Request,
    next: Next,
) -> Response {
    if let Err(why) = is_own(request.headers(), shared.is_loopback) {
        return (StatusCode::FORBIDDEN, why).into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A browser on this machine reaches weir too, and with it every page that it shows.
fn is_own(headers: &HeaderMap, is_loopback: bool) -> Result<(), &'static str> {
    let text = |name| {
        let value: Option<&HeaderValue> = headers.get(name);
        value.map(|value| value.to_str().unwrap_or_default())
    };
    let host = text(HOST).unwrap_or_default();
    // A name that somebody else lets point to this machine.
    if is_loopback && !host.is_empty() && !is_this_machine(host) {
        return Err("this server is only for this machine: ask for localhost\n");
    }
    match text(ORIGIN) {
        Some(origin) if origin.split_once("://").map(|(_, host)| host) != Some(host) => {
            Err("pages of other sites may not ask here\n")
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
    let is_loopback = |address: std::net::IpAddr| address.is_loopback();
    name.eq_ignore_ascii_case("localhost") || address.parse().is_ok_and(is_loopback)
}

/// Lets pass who knows the token and asks from this machine: there is no TLS here, and neither a token nor a value of
/// a secret key may travel in clear.
pub(super) fn permit(
    shared: &AdminState,
    headers: &HeaderMap,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
) -> Result<(), Denied> {
    let Some(token) = &shared.admin.token else {
        return Err(Denied::Closed);
    };
    if !peer.ip().to_canonical().is_loopback() {
        return Err(Denied::Far);
    }
    let offered = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
    let offered = offered.and_then(|offered| {
        let (scheme, token) = offered.split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"bearer ").then_some(token)
    });
    match offered.map(|offered| token.is(offered)) {
        Some(Ok(true)) => Ok(()),
        None | Some(Ok(false)) => Err(Denied::Unknown),
        Some(Err(error)) => {
            tracing::error!("{error}");
            Err(Denied::Closed)
        }
    }
}

/// Why somebody may not do what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denied {
    /// There is no token.
    Closed,
    /// The question came from another machine.
    Far,
    /// The token is missing or wrong.
    Unknown,
}

impl Denied {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "this needs a token: start weir with --admin-token-file",
            Self::Far => "this is only for this machine: ask through a tunnel",
            Self::Unknown => {
                "this needs the token of --admin-token-file, as `Authorization: Bearer …`"
            }
        }
    }
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Closed | Self::Far => StatusCode::FORBIDDEN,
            Self::Unknown => StatusCode::UNAUTHORIZED,
        };
        (status, format!("{}\n", self.as_str())).into_response()
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
    fn pages_of_other_sites_are_turned_away() {
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
            assert_eq!(is_own(&headers(&pairs), true).is_ok(), is_fine, "{pairs:?}");
        }
        let from_afar = [(HOST, "weir.example"), (ORIGIN, "http://weir.example")];
        assert!(is_own(&headers(&from_afar), false).is_ok());
        let other = [(HOST, "weir.example"), (ORIGIN, "http://evil.example")];
        assert!(is_own(&headers(&other), false).is_err());
    }
}

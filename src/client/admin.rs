//! A client of a server's admin API over HTTP.
//!
//! Without TLS and with a token it talks only to addresses of this machine.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper::body::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use serde_json::{Value, json};

use super::exchange::{HttpStream, connect, exchange};
use super::server_addr::{HTTP, HTTPS};
use super::tls::{TlsDialer, TlsOptions, TlsOptionsError};
use crate::host_lookup;
use crate::request::{self, Cost};

/// Longer than any answer takes.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Calls one server, each time over a new connection.
#[derive(Debug)]
pub struct AdminClient {
    address: String,
    tls: Option<TlsDialer>,
    token: Option<String>,
}

/// The requested form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaType {
    /// `application/json`
    Json,
    /// `text/plain`
    Text,
}

impl MediaType {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Text => "text/plain",
        }
    }
}

impl AdminClient {
    /// A client of the server at `HOST:PORT`, or at `https://HOST:PORT` with these options, with the token that
    /// `token_file` holds. `http://` before the address has no meaning.
    ///
    /// # Errors
    /// [`AdminError::TokenFile`] if the file cannot be read, [`AdminError::Tls`] if the options cannot be used.
    pub fn new(
        address: &str,
        token_file: Option<&Path>,
        tls: &TlsOptions,
    ) -> Result<Self, AdminError> {
        let token = token_file.map(|path| {
            fs::read_to_string(path).map_err(|source| AdminError::TokenFile {
                path: path.to_owned(),
                source,
            })
        });
        let address = address.strip_prefix(HTTP).unwrap_or(address);
        let address = address.trim_end_matches('/');
        let encrypted = address.strip_prefix(HTTPS);
        let authority = encrypted.unwrap_or(address);
        let tls = encrypted.map(|authority| tls.dialer(authority, b"http/1.1"));
        Ok(Self {
            address: authority.to_owned(),
            tls: tls.transpose().map_err(AdminError::Tls)?,
            token: token.transpose()?.map(|token| token.trim().to_owned()),
        })
    }

    /// Gets `path`, such as `/api/overview`, as JSON.
    ///
    /// # Errors
    /// If the server cannot be reached, or does not answer with 200.
    pub async fn get(&self, path: &str) -> Result<String, AdminError> {
        self.call(Method::GET, path, MediaType::Json, String::new())
            .await
    }

    /// Posts `request` to `path`, such as `/api/explain`.
    ///
    /// # Errors
    /// If the server cannot be reached, or does not answer with 200.
    pub async fn post(
        &self,
        path: &str,
        request: &request::Request,
        accept: MediaType,
    ) -> Result<String, AdminError> {
        let body = request_json(request).to_string();
        self.call(Method::POST, path, accept, body).await
    }

    /// Posts a body in JSON to `path`, such as `/api/assignments/set`.
    ///
    /// # Errors
    /// If the server cannot be reached, or does not answer with 200.
    pub async fn post_json(&self, path: &str, body: String) -> Result<String, AdminError> {
        self.call(Method::POST, path, MediaType::Json, body).await
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        accept: MediaType,
        body: String,
    ) -> Result<String, AdminError> {
        let exchange = self.exchange(method, path, accept, body);
        let timed = tokio::time::timeout(TIMEOUT, exchange).await;
        let (status, text) = timed.map_err(|_| AdminError::Timeout {
            address: self.address.clone(),
        })??;
        match status {
            StatusCode::OK => Ok(text),
            _ => Err(AdminError::Status {
                address: self.address.clone(),
                status: status.as_u16(),
                message: text.trim().to_owned(),
            }),
        }
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        accept: MediaType,
        body: String,
    ) -> Result<(StatusCode, String), AdminError> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.address)
            .header(ACCEPT, accept.as_str())
            .header(CONTENT_TYPE, MediaType::Json.as_str());
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Bytes::from(body));
        let request = request.map_err(|source| AdminError::Request { source })?;
        let stream = self.connect().await?;
        let response = exchange(stream, request).await;
        let response = response.map_err(|source| AdminError::Http {
            address: self.address.clone(),
            source,
        })?;
        let text = String::from_utf8_lossy(response.body()).into_owned();
        Ok((response.status(), text))
    }

    /// Neither the token nor a client's value may travel in clear text.
    async fn connect(&self) -> Result<HttpStream, AdminError> {
        let address = || self.address.clone();
        let resolved = host_lookup::lookup_authority(&self.address).await;
        let addresses = resolved.map_err(|source| AdminError::Resolve {
            address: address(),
            source,
        })?;
        let is_remote = |address: &SocketAddr| !address.ip().to_canonical().is_loopback();
        if self.token.is_some() && self.tls.is_none() && addresses.iter().any(is_remote) {
            return Err(AdminError::Remote { address: address() });
        }
        let connected = connect(&addresses, self.tls.as_ref());
        connected.await.map_err(|source| AdminError::Connect {
            address: address(),
            source,
        })
    }
}

/// A request as `RateLimitRequest` in JSON.
fn request_json(request: &request::Request) -> Value {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let descriptors = request.descriptors.iter().map(|descriptor| {
        let entries = descriptor.entries.iter();
        let entries =
            entries.map(|entry| json!({"key": text(&entry.key), "value": text(&entry.value)}));
        let (hits, is_refund) = match descriptor.cost {
            Cost::Peek => (0, false),
            Cost::Hits(hits) => (hits, false),
            Cost::Refund(hits) => (hits, true),
        };
        let limit = descriptor.limit.map(|limit| {
            let limit = super::override_to_proto(limit);
            json!({
                "requestsPerUnit": limit.requests_per_unit,
                "unit": limit.unit,
                "unitMultiplier": limit.unit_multiplier,
            })
        });
        json!({
            "entries": entries.collect::<Vec<_>>(),
            "hitsAddend": hits,
            "isNegativeHits": is_refund,
            "limit": limit,
        })
    });
    json!({"domain": text(&request.domain), "descriptors": descriptors.collect::<Vec<_>>()})
}

/// A call to the admin API that failed.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The token file cannot be read.
    #[error("cannot read the admin token from {}", path.display())]
    TokenFile {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The options for TLS cannot be used.
    #[error(transparent)]
    Tls(TlsOptionsError),
    /// The name of the server cannot be resolved.
    #[error("cannot resolve the address of the admin server, {address}")]
    Resolve {
        /// `HOST:PORT`
        address: String,
        /// The reason.
        source: io::Error,
    },
    /// There is a token, and the server is not on this machine.
    #[error(
        "the admin server {address} is on another machine, and the token would be sent unencrypted: use a tunnel, such as \
         `kubectl port-forward` or `ssh -L`, or TLS (https://HOST:PORT)"
    )]
    Remote {
        /// `HOST:PORT`
        address: String,
    },
    /// The server cannot be reached.
    #[error("cannot connect to the admin server {address} (--http)")]
    Connect {
        /// `HOST:PORT`
        address: String,
        /// The reason.
        source: io::Error,
    },
    /// The path, the address or the token cannot be sent in HTTP.
    #[error("invalid HTTP request")]
    Request {
        /// The reason.
        source: hyper::http::Error,
    },
    /// The connection failed during the exchange.
    #[error(
        "the admin server {address} did not answer in HTTP; it must be the address of `weir serve --http`, not of --grpc, and \
         begin with https:// if that port has TLS"
    )]
    Http {
        /// `HOST:PORT`
        address: String,
        /// The reason.
        source: hyper::Error,
    },
    /// There was no answer in time.
    #[error("the admin server {address} did not answer within {} s", TIMEOUT.as_secs())]
    Timeout {
        /// `HOST:PORT`
        address: String,
    },
    /// The server refused.
    #[error("the admin server {address} answered {status}: {message}")]
    Status {
        /// `HOST:PORT`
        address: String,
        /// The HTTP status.
        status: u16,
        /// The server's explanation.
        message: String,
    },
}

//! Questions over HTTP that need no client.

use std::io::{Read, Write};
use std::net::TcpStream;

/// The body that a server on this machine answers a GET with, whatever the status is.
///
/// # Panics
/// If it does not answer in HTTP.
#[must_use]
pub fn http_get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    body.to_owned()
}

//! Asks a running server whether a client is within its limits.
//!
//! ```sh
//! cargo run --example client -- 127.0.0.1:8081 DOMAIN KEY=VALUE...
//! ```

use std::error::Error;
use std::time::Duration;

use weir::client::{Client, ServerAddr};
use weir::request::{Descriptor, Request};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let server: ServerAddr = arguments.next().ok_or("a server is required")?.parse()?;
    let domain = arguments.next().ok_or("a domain is required")?;
    let entries: Vec<(String, String)> = arguments
        .map(|entry| {
            let (key, value) = entry.split_once('=').ok_or("expected KEY=VALUE")?;
            Ok((key.to_owned(), value.to_owned()))
        })
        .collect::<Result<_, Box<dyn Error>>>()?;

    let mut client = Client::connect(&server, Duration::from_secs(1)).await?;
    let request = Request {
        domain: domain.into(),
        descriptors: vec![Descriptor::new(entries)],
    };
    let answer = client.should_rate_limit(&request).await?;
    println!(
        "{}",
        if answer.over_limit {
            "OVER_LIMIT"
        } else {
            "OK"
        }
    );
    Ok(())
}

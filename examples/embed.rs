//! Embeds the engine: loads a policy file, decides a request, and prints the decision.
//!
//! ```sh
//! cargo run --example embed -- config/peeker.yaml DOMAIN KEY=VALUE...
//! ```

use std::error::Error;
use std::path::PathBuf;

use weir::clock::Clock;
use weir::engine::{Code, Engine};
use weir::policy::{self, LoadOptions};
use weir::request::{Descriptor, Request};
use weir::store::{MemoryConfig, Store};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = PathBuf::from(arguments.next().ok_or("a policy file is required")?);
    let domain = arguments.next().ok_or("a domain is required")?;
    let entries: Vec<(String, String)> = arguments
        .map(|entry| {
            let (key, value) = entry.split_once('=').ok_or("expected KEY=VALUE")?;
            Ok((key.to_owned(), value.to_owned()))
        })
        .collect::<Result<_, Box<dyn Error>>>()?;

    let loaded = policy::load(&[file], LoadOptions::default())?;
    for diagnostic in &loaded.diagnostics {
        println!("{diagnostic}");
    }
    let policy = loaded.policy.ok_or("the policy has errors")?;
    let store = Store::memory(MemoryConfig::default())?;
    let engine = Engine::new(policy, store, Clock::System);

    let request = Request {
        domain: domain.into(),
        descriptors: vec![Descriptor::new(entries)],
    };
    let decision = engine.decide(&request).await;
    let answer = match decision.code {
        Code::Ok => "OK",
        Code::OverLimit => "OVER_LIMIT",
    };
    println!(
        "{answer}, {} remaining",
        decision
            .statuses
            .first()
            .map_or(0, |status| status.remaining)
    );
    Ok(())
}

//! Resident memory of weir with connections that send nothing, and with calls that never end.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::policies;
use crate::servers::Running;
use crate::table::Measured;
use crate::wire;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const PATIENCE: Duration = Duration::from_secs(20);
const MEBIBYTE: u64 = 1 << 20;

/// Megabytes that 1,000 connections without a call add.
pub(crate) fn idle() -> Result<Measured> {
    const CONNECTIONS: u64 = 1_000;
    let weir = Running::weir(&policies::of_rules(1), &[])?;
    let before = weir.resident()?;
    let connections = (0..CONNECTIONS)
        .map(|_| connect(&weir, &[]))
        .collect::<Result<Vec<_>>>()?;
    let grown = weir.resident()?.saturating_sub(before);
    drop(connections);
    let detail = format!("{} KB per connection", grown / CONNECTIONS / 1_000);
    Ok(Measured::of(grown as f64 / 1e6, detail))
}

/// Share of the budget that 10,000 calls add, of each of which 8 KB of 3 MB have arrived.
pub(crate) fn half_sent() -> Result<Measured> {
    const CONNECTIONS: u32 = 10;
    const CALLS: u32 = 1_000;
    const ARRIVED: usize = 8_000;
    const BUDGET: u64 = 32 * MEBIBYTE;
    let budget = BUDGET.to_string();
    let weir = Running::weir(&policies::of_rules(1), &["--grpc-buffer", &budget])?;
    let before = weir.resident()?;
    let mut begun = vec![0; ARRIVED];
    begun[..5].copy_from_slice(&[0, 0, 0x30, 0, 0]);
    let calls: Vec<u8> = (0..CALLS)
        .flat_map(|call| wire::unfinished_call(call * 2 + 1, &begun))
        .collect();
    let connections = (0..CONNECTIONS)
        .map(|_| connect(&weir, &calls))
        .collect::<Result<Vec<_>>>()?;
    let grown = weir.resident()?.saturating_sub(before);
    drop(connections);
    let sent = u64::from(CONNECTIONS) * calls.len() as u64;
    Ok(Measured::of(
        grown as f64 / BUDGET as f64,
        format!(
            "{} of {} MiB after {} MiB",
            grown / MEBIBYTE,
            BUDGET / MEBIBYTE,
            sent / MEBIBYTE
        ),
    ))
}

/// A connection on which the server has read these frames: it has answered the ping after them.
fn connect(weir: &Running, frames: &[u8]) -> Result<TcpStream> {
    let mut socket = TcpStream::connect(weir.address)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    let opaque = b"all read";
    socket.write_all(&wire::preface())?;
    socket.write_all(frames)?;
    socket.write_all(&wire::ping(*opaque))?;
    let mut received = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    while !received.windows(opaque.len()).any(|part| part == opaque) {
        let read = socket.read(&mut buffer)?;
        if read == 0 {
            return Err("the server has closed the connection".into());
        }
        received.extend_from_slice(&buffer[..read]);
    }
    Ok(socket)
}

//! The `weir` command: arguments in, exit code out.

use std::io::Write;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match weir::cli::run(std::env::args_os()) {
        Ok(code) => code,
        Err(error) => {
            // If stderr is closed there is nobody left to tell.
            let _ = match std::error::Error::source(&error) {
                Some(reason) => writeln!(std::io::stderr(), "weir: {error}: {reason}"),
                None => writeln!(std::io::stderr(), "weir: {error}"),
            };
            error.exit_code()
        }
    }
}

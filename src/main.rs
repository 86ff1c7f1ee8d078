//! The `weir` program: passes the arguments to [`weir::cli`] and returns its exit code.

use std::io::Write;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match weir::cli::run(std::env::args_os()) {
        Ok(code) => code,
        Err(error) => {
            // If stderr is closed there is nowhere to report this.
            let _ = writeln!(std::io::stderr(), "weir: {error}");
            error.exit_code()
        }
    }
}

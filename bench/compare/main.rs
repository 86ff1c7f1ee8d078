//! Compares weir with a no-op service, and `decide` with a bare cache: `cargo bench -p weir-bench --bench compare`.
//!
//! Every ratio is the median of several pairs of runs, one after the other on the same machine.
//!
//! Arguments select rows by words in their names: `cargo bench -p weir-bench --bench compare -- throughput memory`.
//! `-- plots` draws the plots of `docs/performance.md`, `-- plots rules` or `-- plots keys` one of them. `-- faults`
//! prints the table of `docs/reference/redis-failures.md`, `-- faults frozen` the rows that contain the word.

mod alone;
mod connections;
mod faults;
mod keys;
mod line;
mod load;
mod memory;
mod message;
mod noop;
mod pairs;
mod peers;
mod plots;
mod policies;
mod processor;
mod rows;
mod servers;
mod shared;
mod svg;
mod table;
mod throughput;
mod wire;

// The same allocator as in the program: the no-op service must have the same means.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    servers::become_noop()?;
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    match &wanted[..] {
        [first, plots @ ..] if first == "plots" => return plots::draw(plots),
        [first, faults @ ..] if first == "faults" => {
            table::machine(servers::workers());
            return faults::print(faults);
        }
        _ => {}
    }
    table::machine(servers::workers());
    table::head();
    for row in rows::ALL {
        if wanted.is_empty() || wanted.iter().any(|word| row.name.contains(word.as_str())) {
            table::print(row)?;
        }
    }
    Ok(())
}

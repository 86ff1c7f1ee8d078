//! weir beside a service that does nothing, and `decide` beside a bare cache: `cargo bench -p weir-bench --bench compare`.
//!
//! Every ratio is taken from pairs that ran one after the other on the same machine; the middle one of several counts.
//! Name rows to run only those: `cargo bench -p weir-bench --bench compare -- throughput memory`. `-- plots` draws the plots of
//! `docs/performance.md` instead, `-- plots rules` or `-- plots keys` one of them; `-- faults` prints what it costs when
//! Redis fails, the table of `docs/operations.md`, and `-- faults frozen` the rows of it that have the word.

mod alone;
mod faults;
mod keys;
mod line;
mod load;
mod memory;
mod message;
mod nothing;
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

// As in weir itself: the service that does nothing is to have the same means.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    servers::become_nothing()?;
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

//! The same decisions asked of Portcullis and of other policy engines, side by side. See README.md.

#![expect(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a comparison that cannot be made ends at once")]

mod check;
mod engines;
mod machine;
mod measure;
mod options;
mod report;
mod workload;

use std::process::ExitCode;

use engines::{Engine, Entry, FLOORS, PEERS, PORTCULLIS};
use options::Options;
use workload::Workload;

/// As the gateway has it; it helps those who allocate, and Portcullis does not to decide.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How many statements the principal holds.
const SIZES: [usize; 4] = [4, 100, 1_000, 10_000];
/// Where the floors of [`FLOORS`] hold.
const FLOOR_SIZE: usize = 1_000;

fn main() -> ExitCode {
    match Options::read(std::env::args().skip(1)).map(run) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error}\n\n{}", options::USAGE);
            ExitCode::from(2)
        }
    }
}

fn run(options: Options) -> ExitCode {
    let mut columns = Vec::new();
    for size in SIZES {
        let workload = Workload::new(size);
        let entries = std::iter::once(&PORTCULLIS).chain(&PEERS);
        let mut engines: Vec<(&Entry, Box<dyn Engine>)> = entries.map(|entry| (entry, (entry.load)(&workload.statements))).collect();
        match check::agree(&workload, &mut engines) {
            Ok(tally) => println!("{size} statements: {tally}"),
            Err(mismatches) => {
                eprintln!("{size} statements:\n{mismatches}");
                return ExitCode::FAILURE;
            }
        }
        if !options.check {
            columns.push((size, measure::column(&workload.requests, &mut engines, options.rounds)));
        }
    }
    if options.check {
        return ExitCode::SUCCESS;
    }
    println!("\n{}", report::table(&columns));
    println!("{}", report::conditions(&columns, options.rounds));
    let missed = report::missed(&columns, FLOOR_SIZE, &FLOORS);
    missed.iter().for_each(|floor| eprintln!("{floor}"));
    if options.gate && !missed.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

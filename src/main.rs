//! The `portcullis` command.

use std::process::ExitCode;

/// Two read buffers of 8 KiB and a score of small blocks per request: measured cheaper than the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    portcullis::cli::main()
}

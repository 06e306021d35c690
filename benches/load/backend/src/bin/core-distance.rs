//! Prints how many nanoseconds a round trip between two cores takes: one thread writes a value, the
//! other sees it and answers.
//!
//! A hypervisor may move a virtual core to another part of the machine at any time, and then every
//! packet between proxy and load costs more, so the bench asks before and after it measures. The
//! threads are pinned from outside: each waits until the kernel allows it a single core.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use std::{fs, hint, io, thread};

const BATCHES: u32 = 200;
const ROUND_TRIPS: u32 = 100;

/// Odd when the first thread has served, even when the second has answered.
static BALL: AtomicU64 = AtomicU64::new(0);
static READY: AtomicBool = AtomicBool::new(false);
const END: u64 = u64::MAX;

fn main() -> io::Result<()> {
    let second = thread::spawn(answer);
    await_pinned()?;
    while !READY.load(Ordering::Acquire) {
        if second.is_finished() {
            return Err(io::Error::other("the second thread could not be pinned"));
        }
        thread::sleep(Duration::from_millis(1));
    }
    // The best batch is the one that no other process interrupted.
    let best = (0..BATCHES).map(batch).min().unwrap_or_default();
    BALL.store(END, Ordering::Release);
    println!("{}", best.as_nanos() / u128::from(ROUND_TRIPS));
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "reading the clock is what this program is for")]
fn batch(number: u32) -> Duration {
    let first = u64::from(number) * u64::from(ROUND_TRIPS);
    let began = Instant::now();
    for round in first..first + u64::from(ROUND_TRIPS) {
        BALL.store(2 * round + 1, Ordering::Release);
        while BALL.load(Ordering::Acquire) != 2 * round + 2 {
            hint::spin_loop();
        }
    }
    began.elapsed()
}

fn answer() -> io::Result<()> {
    await_pinned()?;
    READY.store(true, Ordering::Release);
    loop {
        match BALL.load(Ordering::Acquire) {
            END => return Ok(()),
            served if served % 2 == 1 => BALL.store(served + 1, Ordering::Release),
            _ => hint::spin_loop(),
        }
    }
}

fn await_pinned() -> io::Result<()> {
    loop {
        let status = fs::read_to_string("/proc/thread-self/status")?;
        let cores = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        if cores.is_some_and(|list| list.trim().bytes().all(|byte| byte.is_ascii_digit())) {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(1));
    }
}

//! Rounds in which every engine answers the same batch, Portcullis directly before each of the others.

use std::hint::black_box;

use crate::engines::{Engine, Entry};
use crate::machine::cpu_ns;
use crate::workload::Asked;

/// Most CPU time of one engine in one round: a batch that would take longer is cut, but not below [`BATCH_MIN`].
const BATCH_NS_MAX: f64 = 1e9;
/// Fewest requests of a batch.
const BATCH_MIN: usize = 64;
/// Least CPU time of one sample: a batch that takes less is repeated.
const SAMPLE_NS_MIN: f64 = 2e6;

/// What one engine took at one number of statements.
pub(crate) struct Cell {
    pub(crate) name: &'static str,
    /// Nanoseconds per decision, one for each round.
    pub(crate) ns: Vec<f64>,
    /// The same over what Portcullis took for the same batch in the same round; nothing for Portcullis itself.
    pub(crate) ratios: Vec<f64>,
    /// Requests of a batch.
    pub(crate) batch: usize,
}

struct Plan {
    batch: usize,
    repeats: usize,
}

/// Portcullis first, then the others, as they come in `engines`.
pub(crate) fn column(requests: &[Asked], engines: &mut [(&Entry, Box<dyn Engine>)], rounds: usize) -> Vec<Cell> {
    let plans: Vec<Plan> = engines.iter_mut().map(|(_, engine)| plan(requests, &mut **engine)).collect();
    let mut cells: Vec<Cell> = engines
        .iter()
        .zip(&plans)
        .map(|((entry, _), plan)| Cell { name: entry.name, ns: Vec::new(), ratios: Vec::new(), batch: plan.batch })
        .collect();
    let Some((((_, own), peers), ((own_cell, peer_cells), (own_plan, peer_plans)))) =
        engines.split_first_mut().zip(cells.split_first_mut().zip(plans.split_first()))
    else {
        return cells;
    };
    for round in 0..rounds {
        own_cell.ns.push(sample(requests, &mut **own, own_plan));
        for place in 0..peers.len() {
            let place = (place + round) % peers.len();
            let (Some((_, peer)), Some(cell), Some(plan)) = (peers.get_mut(place), peer_cells.get_mut(place), peer_plans.get(place)) else {
                continue;
            };
            let base = sample(requests, &mut **own, &Plan { batch: plan.batch, repeats: own_plan.repeats * own_plan.batch / plan.batch });
            let ns = sample(requests, &mut **peer, plan);
            cell.ns.push(ns);
            cell.ratios.push(ns / base);
        }
    }
    cells
}

/// From a short trial, which also warms it up.
fn plan(requests: &[Asked], engine: &mut dyn Engine) -> Plan {
    let trial = Plan { batch: BATCH_MIN.min(requests.len()), repeats: 1 };
    sample(requests, engine, &trial);
    let ns = sample(requests, engine, &trial).max(1.0);
    let batch = ((BATCH_NS_MAX / ns) as usize).clamp(trial.batch, requests.len());
    let repeats = (SAMPLE_NS_MIN / (ns * batch as f64)).ceil() as usize;
    Plan { batch, repeats: repeats.max(1) }
}

/// Nanoseconds per decision.
fn sample(requests: &[Asked], engine: &mut dyn Engine, plan: &Plan) -> f64 {
    let batch = requests.get(..plan.batch).unwrap_or(requests);
    let start = cpu_ns();
    for _ in 0..plan.repeats {
        black_box(engine.allowed_of(black_box(batch)));
    }
    (cpu_ns() - start) as f64 / (plan.repeats * batch.len()) as f64
}

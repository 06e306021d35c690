//! Hostile inputs, blocks A to D: path and authority, identity headers, source address, tokens and signatures.
//!
//! `list.txt` is what was collected, `inputs.tsv` says of each input where it is tested and what has to come of it. What the table calls
//! `here` is sent from here, byte for byte, and after each probe somebody else asks for something and must get the answer to that.

mod probe;
mod table;
mod token;
mod trial;

pub(crate) use table::wrong_pointer;
use table::{Row, Tested};
use trial::Trial;

/// Inputs that need HTTP/2, TLS or the upstream's side. This number only shrinks.
const DATA_PLANE: usize = 4;

#[test]
fn every_input_of_the_list_stands_once_in_the_table() {
    let rows = table::rows();
    let gap = table::gap(rows.iter().filter(|row| row.is_first).map(|row| row.input));
    assert_eq!(gap, None);
}

#[test]
fn every_input_is_tested_where_the_table_says_or_waits_for_the_data_plane() {
    let rows = table::rows();
    let (mut wrong, mut data_plane) = (Vec::new(), 0);
    for Row { line, sent, tested, .. } in &rows {
        match tested {
            Tested::Here => {}
            Tested::Elsewhere { file, name } => {
                wrong.extend(wrong_pointer(file, name, sent).map(|problem| format!("inputs.tsv:{line}: {problem}")));
            }
            Tested::DataPlane => data_plane += 1,
            Tested::NotHere(why) => assert!(why.len() > 20, "inputs.tsv:{line}: why?"),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(data_plane, DATA_PLANE);
}

#[test]
fn every_input_has_the_verdict_of_the_table_and_leaves_no_trace_on_its_connection() {
    let mut trial = Trial::start();
    let mut wrong = Vec::new();
    for row in table::rows().iter().filter(|row| row.tested == Tested::Here) {
        let problems = trial.run(row);
        wrong.extend(problems.into_iter().map(|problem| format!("inputs.tsv:{}: {}: {problem}", row.line, row.input)));
    }
    wrong.extend(trial.end());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn lines_that_do_no_harm_alone_do_none_together() {
    let start = "GET /v1/groups/g1 | ";
    let harmless = table::rows().into_iter().filter(|row| row.tested == Tested::Here && row.expected == "good" && !row.sent.contains('@'));
    let lines: Vec<&str> = harmless.filter_map(|row| row.sent.strip_prefix(start)).collect();
    assert!(lines.len() > 50, "{}", lines.len());
    let mut trial = Trial::start();
    let mut wrong = Vec::new();
    for step in [1, 7, 31] {
        for place in 0..lines.len() {
            let some = [place, place + step, place + 2 * step].map(|place| lines[place % lines.len()]);
            let sent: &'static str = format!("{start}{}", some.join(" | ")).leak();
            let row = Row { line: 0, input: "", is_first: true, sent, expected: "good", tested: Tested::Here };
            wrong.extend(trial.run(&row).into_iter().map(|problem| format!("{sent}: {problem}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

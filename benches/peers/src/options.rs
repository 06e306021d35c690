//! The command line.

/// What it knows.
pub(crate) const USAGE: &str = "options: --check       only ask every engine everything and compare the answers
         --rounds N    rounds of measuring, by default 15
         --gate        fail when a floor at 1,000 statements is missed";

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) check: bool,
    pub(crate) rounds: usize,
    pub(crate) gate: bool,
}

impl Options {
    pub(crate) fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self { check: false, rounds: 15, gate: false };
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--check" => options.check = true,
                "--gate" => options.gate = true,
                "--rounds" => {
                    let rounds = arguments.next().and_then(|rounds| rounds.parse().ok()).filter(|rounds| (1..=1_000).contains(rounds));
                    options.rounds = rounds.ok_or("`--rounds` needs a number from 1 to 1000")?;
                }
                _ => return Err(format!("`{argument}` is no option")),
            }
        }
        Ok(options)
    }
}

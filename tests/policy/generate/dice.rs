//! Chance, and texts of JSON.

/// A source of choices that a seed determines (SplitMix64).
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// A number from `first` to `last`.
    pub(super) fn between(&mut self, first: usize, last: usize) -> usize {
        first + self.below(last - first + 1)
    }

    /// True in so many cases of a hundred.
    pub(super) fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    pub(super) fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    pub(super) fn one_of<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }

    /// The text in some other letter case, more often than not as it is. Only ASCII letters change.
    pub(super) fn odd_case(&mut self, text: &str) -> String {
        match self.below(8) {
            0 => text.to_ascii_uppercase(),
            1 => text.to_ascii_lowercase(),
            2 => {
                let flip =
                    |letter: char| if letter.is_ascii_uppercase() { letter.to_ascii_lowercase() } else { letter.to_ascii_uppercase() };
                text.chars().map(|letter| if self.percent(40) { flip(letter) } else { letter }).collect()
            }
            _ => text.to_owned(),
        }
    }

    /// A pattern that denotes the text, or nearly: some pieces have become `*`, some characters `?`.
    pub(super) fn blur(&mut self, text: &str, with_question: bool) -> String {
        let mut pattern: Vec<char> = text.chars().collect();
        for _ in 0..self.between(1, 3) {
            let start = self.below(pattern.len() + 1);
            match self.below(if with_question { 5 } else { 3 }) {
                0 => pattern.insert(start, '*'),
                1 | 2 => {
                    let end = self.between(start, pattern.len());
                    pattern.splice(start..end, ['*']);
                }
                3 if self.percent(20) => pattern.insert(start, '?'),
                _ if start < pattern.len() => pattern[start] = '?',
                _ => {}
            }
        }
        pattern.into_iter().collect()
    }

    /// A JSON string; now and then with characters as escapes.
    pub(super) fn string(&mut self, text: &str) -> String {
        let escape_all = self.percent(1);
        if !escape_all && !text.contains(|character: char| character.is_control() || matches!(character, '"' | '\\')) {
            return format!("\"{text}\"");
        }
        let mut written = String::from("\"");
        for character in text.chars() {
            if escape_all || character.is_control() || matches!(character, '"' | '\\') {
                let mut units = [0; 2];
                written.extend(character.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
            } else {
                written.push(character);
            }
        }
        written.push('"');
        written
    }

    /// A JSON object. The order of the members says nothing, so that it may be any.
    pub(super) fn object(&mut self, mut members: Vec<(String, String)>) -> String {
        if self.percent(20) {
            self.shuffle(&mut members);
        }
        let members: Vec<String> = members.into_iter().map(|(name, value)| format!("{}: {value}", self.string(&name))).collect();
        format!("{{{}}}", members.join(", "))
    }

    /// A JSON list, or its only value as a scalar.
    pub(super) fn list_or_scalar(&mut self, items: &[String]) -> String {
        match items {
            [only] if self.percent(35) => only.clone(),
            _ => list(items),
        }
    }
}

/// A JSON list.
pub(super) fn list(items: &[String]) -> String {
    format!("[{}]", items.join(", "))
}

//! A Markov chain over words: after two of them comes what followed those two somewhere in a text.

use std::collections::hash_map::RandomState;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};

/// Something to have read.
pub const TEXT: &str = "
    A brook begins where nobody looks. Under a stone in the wood the water gathers, drop by drop, until the stone
    cannot hold it. Then the water runs. It runs down the hill because there is a hill, and around the stone because
    there is a stone. The brook does not ask where the sea is. The brook asks only where down is, and goes there.
    In spring the brook is loud. The snow on the hill becomes water, and the water carries leaves, twigs and the
    shadow of a bird. In summer the brook is quiet. A child can step over it, and a cow can drink it, and still it
    runs. In winter there is ice at the edge of the stone, and under the ice the brook talks on. People who live near
    the water say that the brook never tells the same story twice. People who live far away say that it tells one
    story, without an end. The stone stays, the water goes, and the sound of the brook is made by both of them. Small
    things travel far on a brook: a leaf, a feather, a word on a piece of paper. Whoever sits further down sees each of
    them when it comes, and has to do nothing but look. At night the brook is the only one in the wood that is awake.
    Where the brook ends a river begins, but nobody can say which drop was the last one of the brook.
";

/// So many words of a prompt it looks at.
pub const PROMPT: usize = 20;

/// What was read: the words of a text, in their order.
pub struct Model {
    words: Vec<String>,
    /// Where each word is.
    places: HashMap<String, Vec<usize>>,
}

impl Model {
    /// `None` of a text without a word.
    pub fn read(text: &str) -> Option<Self> {
        let words: Vec<_> = text.split_whitespace().map(str::to_owned).collect();
        let mut places: HashMap<_, Vec<_>> = HashMap::new();
        for (place, word) in words.iter().enumerate() {
            places.entry(word.clone()).or_default().push(place);
        }
        (!words.is_empty()).then_some(Self { words, places })
    }

    /// Begins a sentence in which the last word of `prompt` is that it knows, or any.
    pub fn walk(&self, prompt: &[String], seed: u64) -> Walk<'_> {
        let mut random = Random(seed);
        let mut last_words = prompt.iter().rev().take(PROMPT).map(|word| letters(word));
        let known = last_words.find_map(|word| {
            let is_same = |known: &String| letters(known).eq_ignore_ascii_case(word);
            // Every sentence has an `a`, which asks for nothing.
            (word.len() > 3).then(|| self.words.iter().position(is_same))?
        });
        let within = known.unwrap_or_else(|| random.below(self.words.len()));
        let end_before = self.words[..within].iter().rposition(|word| ends_sentence(word));
        let place = end_before.map_or(0, |end| end + 1);
        Walk { model: self, place, before: "", recited: within - place, random }
    }
}

fn letters(word: &str) -> &str {
    word.trim_matches(|char: char| !char.is_alphanumeric())
}

/// Whether a word is the last of its sentence.
pub fn ends_sentence(word: &str) -> bool {
    word.ends_with(['.', '!', '?'])
}

/// Words without end.
pub struct Walk<'a> {
    model: &'a Model,
    /// Of the next word.
    place: usize,
    before: &'a str,
    /// How many words come as they are in the text.
    recited: usize,
    /// For every choice there is.
    pub random: Random,
}

impl<'a> Walk<'a> {
    /// There is always one.
    pub fn next_word(&mut self) -> &'a str {
        let Model { words, places } = self.model;
        let word = &words[self.place];
        let before = std::mem::replace(&mut self.before, word);
        if self.recited > 0 {
            self.recited -= 1;
            self.place += 1;
            return word;
        }
        let all = &places[word];
        // The text begins again behind its end.
        let after = |place: usize| (place + 1) % words.len();
        // After two words, where something else can follow them: else it would only recite.
        let is_close = |&place: &usize| place > 0 && words[place - 1] == before;
        let close: Vec<_> = all.iter().copied().filter(is_close).collect();
        let is_choice = close.iter().any(|&place| words[after(place)] != words[after(close[0])]);
        let from = if is_choice { &close } else { all };
        self.place = after(from[self.random.below(from.len())]);
        word
    }
}

/// SplitMix64: the same seed, the same choices.
pub struct Random(u64);

impl Random {
    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % end as u64) as usize
    }
}

/// A number that nobody has chosen: std's only randomness is in the keys of its hash maps.
pub fn any() -> u64 {
    RandomState::new().build_hasher().finish()
}

//! Names that strangers give themselves, or their things, and that others read.

/// Whether a name is one line of up to so many characters, and all of it can be seen: two names that look the same are
/// the same, and none changes the direction of what stands around it.
pub fn is_name(name: &str, most: usize) -> bool {
    let is_short = (1..=most).contains(&name.chars().count());
    is_short && name == name.trim() && !name.chars().any(|char| char.is_control() || is_invisible(char))
}

/// What Unicode calls formats, fillers, and separators of lines (general categories Cf, Zl, Zp; Default_Ignorable).
fn is_invisible(char: char) -> bool {
    matches!(char,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

//! Which bytes a grammar allows, looked up in a table: one load, where a comparison for each range would be many.

/// Defines a function that says whether a byte is one of a pattern's.
macro_rules! byte_class {
    ($(#[$doc:meta])* $visibility:vis fn $name:ident = $pattern:pat) => {
        $(#[$doc])*
        $visibility fn $name(byte: u8) -> bool {
            static IS_ONE: [bool; 256] = {
                let mut table = [false; 256];
                let mut byte = 0;
                while byte < table.len() {
                    table[byte] = matches!(byte as u8, $pattern);
                    byte += 1;
                }
                table
            };
            IS_ONE[usize::from(byte)]
        }
    };
}

pub(super) use byte_class;

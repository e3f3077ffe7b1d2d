//! Enums that are tables: each variant stands in one row with what is known of it.

/// Defines an enum, and `row` that says what stands beside a variant. A new variant is a new row.
macro_rules! rows {
    (
        $(#[$meta:meta])*
        $visibility:vis enum $name:ident: $row:ty {
            $($(#[$doc:meta])* $variant:ident = $value:expr;)*
        }
    ) => {
        $(#[$meta])*
        $visibility enum $name {
            $($(#[$doc])* $variant,)*
        }

        impl $name {
            /// All of them in their order, each with its row.
            const ROWS: &'static [(Self, $row)] = &[$((Self::$variant, $value)),*];

            pub(crate) fn row(self) -> $row {
                Self::ROWS[self as usize].1
            }
        }
    };
}

pub(super) use rows;

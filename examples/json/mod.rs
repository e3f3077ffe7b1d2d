//! A strict reader of JSON (RFC 8259) for examples that are sent some: text is accepted whole or not at all.
//!
//! A value is the part of the text that it stands in, known to be right; what is in it is read when somebody asks.
#![allow(dead_code)] // no example asks for everything

/// A value of JSON.
#[derive(Clone, Copy)]
pub struct Json<'a> {
    text: &'a str,
}

impl<'a> Json<'a> {
    /// Reads one value, with nothing but white space around it.
    pub fn read(text: &'a str) -> Result<Self, &'static str> {
        let mut reader = Reader { rest: text };
        let value = reader.value(1)?;
        reader.skip_white_space();
        if reader.rest.is_empty() {
            Ok(value)
        } else {
            Err("something follows it")
        }
    }

    /// Its text, as it was sent.
    pub fn as_str(self) -> &'a str {
        self.text
    }

    /// The value of a string.
    pub fn string(self) -> Option<String> {
        Reader { rest: self.text }.string().ok()
    }

    /// The values in a list.
    pub fn list(self) -> Option<Vec<Self>> {
        let mut items = Vec::new();
        let mut reader = Reader { rest: self.text };
        let read = reader.items('[', ']', |reader| reader.value(1).map(|value| items.push(value)));
        read.ok().map(|()| items)
    }

    /// What is in an object.
    pub fn object(self) -> Option<Object<'a>> {
        let mut members = Vec::new();
        let mut reader = Reader { rest: self.text };
        let read = reader.items('{', '}', |reader| reader.member(1).map(|member| members.push(member)));
        read.ok().map(|()| Object { members })
    }
}

/// An object of JSON.
#[derive(Default)]
pub struct Object<'a> {
    members: Vec<(String, Json<'a>)>,
}

impl<'a> Object<'a> {
    /// The value of a member: the last, if there are several of that name; `null` is as good as none.
    pub fn get(&self, name: &str) -> Option<Json<'a>> {
        let found = self.members.iter().rev().find(|(known, _)| known == name);
        found.map(|(_, value)| *value).filter(|value| value.text != "null")
    }

    /// Whether there is a member of that name, be it `null`.
    pub fn has(&self, name: &str) -> bool {
        self.members.iter().any(|(known, _)| known == name)
    }

    /// Its members, as they were sent.
    pub fn members(&self) -> impl Iterator<Item = (&str, Json<'a>)> {
        self.members.iter().map(|(name, value)| (name.as_str(), *value))
    }
}

/// From left to right.
struct Reader<'a> {
    rest: &'a str,
}

/// Where lists are in lists: a reader that calls itself has to stop somewhere.
const MAX_DEPTH: usize = 128;

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Result<Json<'a>, &'static str> {
        if depth > MAX_DEPTH {
            return Err("it is nested too deeply");
        }
        self.skip_white_space();
        let start = self.rest;
        match start.bytes().next() {
            Some(b'"') => self.string().map(drop)?,
            Some(b'[') => self.items('[', ']', |reader| reader.value(depth + 1).map(drop))?,
            Some(b'{') => self.items('{', '}', |reader| reader.member(depth + 1).map(drop))?,
            _ => self.word()?,
        }
        Ok(Json { text: &start[..start.len() - self.rest.len()] })
    }

    fn member(&mut self, depth: usize) -> Result<(String, Json<'a>), &'static str> {
        self.skip_white_space();
        let name = self.string()?;
        self.expect(':', "a `:` is missing")?;
        Ok((name, self.value(depth)?))
    }

    fn items(
        &mut self,
        open: char,
        close: char,
        mut item: impl FnMut(&mut Self) -> Result<(), &'static str>,
    ) -> Result<(), &'static str> {
        self.expect(open, "a list or an object is missing")?;
        if self.take(close) {
            return Ok(());
        }
        loop {
            item(self)?;
            if self.take(close) {
                return Ok(());
            }
            self.expect(',', "a `,` or the end of a list or object is missing")?;
        }
    }

    /// `true`, `false`, `null` or a number.
    fn word(&mut self) -> Result<(), &'static str> {
        let is_over = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
        let (word, rest) = self.rest.split_at(self.rest.find(is_over).unwrap_or(self.rest.len()));
        self.rest = rest;
        match word {
            "" => Err("a value is missing"),
            "true" | "false" | "null" => Ok(()),
            number if is_number(number) => Ok(()),
            _ => Err("a value is neither a number nor a word of JSON"),
        }
    }

    /// Gathered in UTF-16, in which escapes are: so pairs of them find each other, and what is left alone
    /// becomes U+FFFD.
    fn string(&mut self) -> Result<String, &'static str> {
        let mut units = Vec::new();
        self.rest = self.rest.strip_prefix('"').ok_or("a string is missing")?;
        loop {
            let char = self.char()?;
            match char {
                '"' => return Ok(String::from_utf16_lossy(&units)),
                '\\' => units.push(self.escape()?),
                '\0'..='\x1f' => return Err("a string has a control character in it"),
                _ => units.extend_from_slice(char.encode_utf16(&mut [0; 2])),
            }
        }
    }

    /// What follows a backslash.
    fn escape(&mut self) -> Result<u16, &'static str> {
        Ok(match self.char()? {
            'b' => 0x08,
            'f' => 0x0c,
            'n' => 0x0a,
            'r' => 0x0d,
            't' => 0x09,
            'u' => return self.four_digits(),
            itself @ ('"' | '\\' | '/') => itself as u16,
            _ => return Err("a string has an unknown escape in it"),
        })
    }

    fn four_digits(&mut self) -> Result<u16, &'static str> {
        let digits = self.rest.get(..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let unit = digits.and_then(|digits| u16::from_str_radix(digits, 16).ok());
        let unit = unit.ok_or("a string has a `\\u` without four hexadecimal digits in it")?;
        self.rest = &self.rest[4..];
        Ok(unit)
    }

    fn char(&mut self) -> Result<char, &'static str> {
        let mut chars = self.rest.chars();
        let char = chars.next().ok_or("a string does not end")?;
        self.rest = chars.as_str();
        Ok(char)
    }

    fn skip_white_space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn take(&mut self, token: char) -> bool {
        self.skip_white_space();
        match self.rest.strip_prefix(token) {
            Some(rest) => self.rest = rest,
            None => return false,
        }
        true
    }

    fn expect(&mut self, token: char, otherwise: &'static str) -> Result<(), &'static str> {
        self.take(token).then_some(()).ok_or(otherwise)
    }
}

/// `number = [ minus ] int [ frac ] [ exp ]` (RFC 8259 §6)
fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    digits(integer)
        && (integer == "0" || !integer.starts_with('0'))
        && digits(fraction)
        && digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))
}

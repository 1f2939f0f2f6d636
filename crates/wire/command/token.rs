//! What proves who a client is.

use std::borrow::Cow;
use std::fmt;

/// A token: whoever has it is taken for its client, so it shows in no log.
#[derive(Clone, PartialEq, Eq)]
pub struct Token<'a>(pub Cow<'a, str>);

impl Token<'_> {
    /// The same, owned.
    pub fn into_owned(self) -> Token<'static> {
        Token(Cow::Owned(self.0.into_owned()))
    }
}

impl fmt::Debug for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({} octets)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_does_not_show() {
        assert_eq!(format!("{:?}", Token("eyJhbGciOi".into())), "Token(10 octets)");
    }
}

//! What a path compiles to.

use std::sync::Arc;

use crate::Value;

/// One name of a property.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Name {
    /// The name with its escapes resolved.
    pub(super) text: Arc<str>,
    /// The name as it stands between the quotes, where that differs. AWS finds the member that is called so first.
    pub(super) raw: Option<Arc<str>>,
}

/// One step of a path, named as Jayway's path tokens.
#[derive(Debug, Clone)]
pub(super) enum Token {
    /// `.a`, `['a']`, `['a','b']`; never empty.
    Property(Box<[Name]>),
    /// `[0]`, `[0,-1]`; never empty.
    Index(Box<[i32]>),
    /// `[1:]`, `[:2]`, `[1:2]`. A step is read and has no meaning.
    Slice { from: Option<i32>, to: Option<i32> },
    /// `.*`, `[*]`.
    Wildcard,
    /// `..`, together with the token behind it.
    Scan(Box<Token>),
    /// `[?( … )]`.
    Filter(Arc<Filter>),
    /// `.length()`, `.sum($.a, 1)`.
    Function(Arc<Function>),
}

/// A function at the end of a path.
#[derive(Debug)]
pub(super) struct Function {
    pub(super) name: Box<str>,
    pub(super) parameters: Box<[Parameter]>,
}

#[derive(Debug)]
pub(super) enum Parameter {
    Constant(Value),
    /// A path from the document's root.
    Path(Box<[Token]>),
}

/// A condition over `@`, the item, and `$`, the document.
#[derive(Debug)]
pub(super) enum Filter {
    Or(Vec<Filter>),
    And(Vec<Filter>),
    Not(Box<Filter>),
    /// `@.a`: whether there is one.
    Exists {
        operand: Operand,
        expected: bool,
    },
    Compare(Operand, Operator, Operand),
}

#[derive(Debug)]
pub(super) enum Operand {
    /// `@…` where `root` is false, `$…` where it is true.
    Path {
        root: bool,
        tokens: Box<[Token]>,
    },
    Constant(Value),
    Pattern(Box<regex_lite::Regex>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    SameEqual,
    NotEqual,
    SameNotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Matches,
    In,
    NotIn,
    Contains,
    All,
    Size,
    Empty,
    SubsetOf,
    AnyOf,
    NoneOf,
    /// `type`, `matches`, `exists`: Jayway reads them, and no literal can make them true.
    Never,
}

impl Token {
    /// Whether the token leads to at most one place. `leaf`: nothing follows.
    pub(super) fn is_definite(&self, leaf: bool) -> bool {
        match self {
            Token::Property(names) => names.len() == 1 || leaf,
            Token::Index(indexes) => indexes.len() == 1,
            Token::Function(_) => true,
            Token::Slice { .. } | Token::Wildcard | Token::Scan(_) | Token::Filter(_) => false,
        }
    }
}

/// Whether `tokens` lead to at most one place.
pub(super) fn is_definite(tokens: &[Token]) -> bool {
    // `$..a.f()` means `$.f($..a)`.
    matches!(tokens, [Token::Scan(_), .., Token::Function(_)])
        || tokens.iter().enumerate().all(|(at, token)| token.is_definite(at + 1 == tokens.len()))
}

/// Appends `tokens` in Jayway's normal form without the `$`, such as `['a'][0]`.
pub(super) fn write_tokens(tokens: &[Token], out: &mut String) {
    use std::fmt::Write;
    for token in tokens {
        let _ = match token {
            Token::Property(names) => {
                let names: Vec<String> = names.iter().map(|name| format!("'{}'", name.text)).collect();
                write!(out, "[{}]", names.join(","))
            }
            Token::Index(indexes) => {
                let indexes: Vec<String> = indexes.iter().map(i32::to_string).collect();
                write!(out, "[{}]", indexes.join(","))
            }
            Token::Slice { from, to } => {
                let side = |index: &Option<i32>| index.map_or(String::new(), |index| index.to_string());
                write!(out, "[{}:{}]", side(from), side(to))
            }
            Token::Wildcard => write!(out, "[*]"),
            Token::Scan(next) => {
                out.push_str("..");
                write_tokens(std::slice::from_ref(next), out);
                Ok(())
            }
            Token::Filter(_) => write!(out, "[?]"),
            Token::Function(function) => {
                write!(out, ".{}({})", function.name, if function.parameters.is_empty() { "" } else { "..." })
            }
        };
    }
}

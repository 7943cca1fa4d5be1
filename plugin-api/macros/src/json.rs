//! JSON text from the literals of `probe: { … }` and from strings.

use proc_macro2::Span;
use std::fmt::Write as _;
use syn::parse::ParseStream;
use syn::{Ident, Lit, LitStr, Result, Token, braced, bracketed, token};

/// A string as JSON.
pub(crate) fn text(string: &str) -> String {
    let mut json = String::from("\"");
    for c in string.chars() {
        match c {
            '"' | '\\' => {
                json.push('\\');
                json.push(c);
            }
            c if c < ' ' => {
                // Writing to a String cannot fail.
                let _ = write!(json, "\\u{:04x}", u32::from(c));
            }
            c => json.push(c),
        }
    }
    json.push('"');
    json
}

/// `{ key: value, … }`, with identifiers or strings as keys, as JSON.
pub(crate) fn object(input: ParseStream<'_>) -> Result<String> {
    let body;
    braced!(body in input);
    let mut members = Vec::new();
    while !body.is_empty() {
        let key = if body.peek(LitStr) {
            body.parse::<LitStr>()?.value()
        } else {
            body.call(any_ident)?.to_string()
        };
        body.parse::<Token![:]>()?;
        members.push(format!("{}:{}", text(&key), value(&body)?));
        if !body.is_empty() {
            body.parse::<Token![,]>()?;
        }
    }
    Ok(format!("{{{}}}", members.join(",")))
}

/// A word, also where it is one of Rust's own (`type`).
pub(crate) fn any_ident(input: ParseStream<'_>) -> Result<Ident> {
    use syn::ext::IdentExt as _;
    Ident::parse_any(input)
}

/// A value: a literal, a negative number, a list, an object.
pub(crate) fn value(input: ParseStream<'_>) -> Result<String> {
    if input.peek(token::Brace) {
        return object(input);
    }
    if input.peek(token::Bracket) {
        let body;
        bracketed!(body in input);
        let mut items = Vec::new();
        while !body.is_empty() {
            items.push(value(&body)?);
            if !body.is_empty() {
                body.parse::<Token![,]>()?;
            }
        }
        return Ok(format!("[{}]", items.join(",")));
    }
    let sign = if input.parse::<Option<Token![-]>>()?.is_some() { "-" } else { "" };
    number_or_text(&input.parse::<Lit>()?, sign)
}

fn number_or_text(literal: &Lit, sign: &str) -> Result<String> {
    Ok(match literal {
        Lit::Str(string) if sign.is_empty() => text(&string.value()),
        Lit::Bool(boolean) if sign.is_empty() => boolean.value.to_string(),
        Lit::Int(number) => format!("{sign}{}", number.base10_parse::<u64>()?),
        Lit::Float(number) => {
            let value = number.base10_parse::<f64>()?;
            if !value.is_finite() {
                return Err(syn::Error::new(number.span(), "a number that an f64 can hold is expected"));
            }
            format!("{sign}{value:?}")
        }
        _ => {
            return Err(syn::Error::new(span_of(literal), "a number, a string, true or false is expected"));
        }
    })
}

fn span_of(literal: &Lit) -> Span {
    literal.span()
}

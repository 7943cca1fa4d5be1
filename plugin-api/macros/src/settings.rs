//! What `#[settings]` makes of a type.

use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote};
use syn::punctuated::Punctuated;
use syn::{Attribute, Data, DeriveInput, Error, Field, GenericArgument, Path, PathArguments, Token, Type};

/// The type with what serde and schemars need, or why it cannot be settings.
pub(crate) fn expand(item: &TokenStream) -> Result<TokenStream, Error> {
    let input: DeriveInput = syn::parse2(item.clone())?;
    let mut wrong = fields(&input.data).filter_map(plain_duration);
    if let Some(mut error) = wrong.next() {
        error.extend(wrong);
        return Err(error);
    }
    let (rename, serialize) = match &input.data {
        Data::Enum(of) => {
            let words = of.variants.iter().all(|variant| variant.fields.is_empty());
            // So that the schema can name a default: schemars writes it with `Serialize`.
            let serialize = words && !input.attrs.iter().any(derives_serialize);
            (
                quote!(, rename_all = "snake_case"),
                serialize.then(|| quote!(::cardcage_plugin_api::serde::Serialize,)),
            )
        }
        _ => (TokenStream::new(), None),
    };
    Ok(quote! {
        #[derive(
            #serialize ::cardcage_plugin_api::serde::Deserialize, ::cardcage_plugin_api::schemars::JsonSchema
        )]
        #[serde(crate = "::cardcage_plugin_api::serde", deny_unknown_fields #rename)]
        #[schemars(crate = "::cardcage_plugin_api::schemars")]
        #item
    })
}

fn fields(data: &Data) -> Box<dyn Iterator<Item = &Field> + '_> {
    match data {
        Data::Struct(of) => Box::new(of.fields.iter()),
        Data::Enum(of) => Box::new(of.variants.iter().flat_map(|variant| variant.fields.iter())),
        Data::Union(of) => Box::new(of.fields.named.iter()),
    }
}

/// An error where a field is a `Duration` that serde would read from `{secs, nanos}`: nobody writes that.
fn plain_duration(field: &Field) -> Option<Error> {
    let read_otherwise = field.attrs.iter().any(|attribute| {
        attribute.path().is_ident("serde") && attribute.meta.to_token_stream().to_string().contains("with")
    });
    let found = if read_otherwise { None } else { duration_in(&field.ty) };
    found.map(|path| {
        Error::new_spanned(
            path,
            "a `Duration` in settings would be written `{secs: 600, nanos: 0}`; take `Interval`, which is written \
             `10m` and holds the `Duration` (`settings.every.0`)",
        )
    })
}

/// The `Duration` in a type, also in `Option<Duration>` and the like.
fn duration_in(ty: &Type) -> Option<&Path> {
    let Type::Path(ty) = ty else {
        return None;
    };
    let last = ty.path.segments.last()?;
    if last.ident == "Duration" {
        return Some(&ty.path);
    }
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return None;
    };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => duration_in(ty),
        _ => None,
    })
}

fn derives_serialize(attribute: &Attribute) -> bool {
    let derived = |paths: Punctuated<Path, Token![,]>| {
        paths.iter().any(|path| path.segments.last().is_some_and(|last| last.ident == "Serialize"))
    };
    attribute.path().is_ident("derive")
        && attribute.parse_args_with(Punctuated::parse_terminated).is_ok_and(derived)
}

#[cfg(test)]
mod tests {
    use super::expand;
    use quote::quote;

    #[test]
    fn a_plain_duration_is_refused_with_the_type_to_take() {
        for ty in [quote!(Duration), quote!(std::time::Duration), quote!(Option<Duration>)] {
            let error = expand(&quote!(struct Settings { every: #ty })).expect_err("it is refused");
            assert!(error.to_string().contains("take `Interval`"), "{error}");
        }
        let read_otherwise = quote!(
            struct Settings {
                #[serde(deserialize_with = "seconds")]
                every: Duration,
            }
        );
        assert!(expand(&read_otherwise).is_ok());
    }

    #[test]
    fn words_can_be_defaults_in_the_schema_and_nobody_derives_twice() {
        let made = |item| expand(&item).expect("it can be settings").to_string().matches("Serialize").count();
        assert_eq!(
            made(quote!(
                enum OnSpike {
                    Drop,
                    Flag,
                }
            )),
            1
        );
        assert_eq!(
            made(quote!(
                #[derive(Clone, serde::Serialize)]
                enum OnSpike {
                    Drop,
                    Flag,
                }
            )),
            1
        );
        assert_eq!(
            made(quote!(
                enum Paths {
                    One(PathBuf),
                    Many(Vec<PathBuf>),
                }
            )),
            0
        );
        assert_eq!(
            made(quote!(
                struct Settings {
                    on_spike: OnSpike,
                }
            )),
            0
        );
    }
}

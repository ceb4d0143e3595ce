//! Code that must not compile, and the compiler's messages.

#[test]
fn misuse_is_one_error_on_the_right_token() {
    trybuild::TestCases::new().compile_fail("misuse/*.rs");
}

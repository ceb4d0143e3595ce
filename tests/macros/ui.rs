//! What must not compile, and what the compiler says then.

#[test]
fn misuse_is_one_error_on_the_right_token() {
    trybuild::TestCases::new().compile_fail("macros/ui/*.rs");
}

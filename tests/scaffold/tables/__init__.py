"""Tables without schemas, which tests copy into a project and have the schemas added."""

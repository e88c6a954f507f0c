module mtls-operator.io/test/certificate/verifier

go 1.24

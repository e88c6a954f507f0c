module mtls-operator.io/test/node/probe

go 1.26.0

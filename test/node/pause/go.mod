module mtls-operator.io/test/node/pause

go 1.26.0

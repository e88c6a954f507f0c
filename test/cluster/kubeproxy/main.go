// Command kubeproxy asks kube-proxy's own code where it would lead connections to Services. It stands in this module so that it is kube-proxy of the version that is pinned here. It is
// built only for the tests that want it: from nothing that takes minutes, after a kube-proxy was built seconds.
//
// It reads questions as JSON lines: a v1 Service, its EndpointSlices, a node and the labels of that node. To each it answers with the endpoints of each TCP port in each family, as
// "address:port".
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	v1 "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/kubernetes/pkg/proxy"
)

type question struct {
	Service        *v1.Service                `json:"service"`
	EndpointSlices []*discovery.EndpointSlice `json:"endpointSlices"`
	Node           string                     `json:"node"`
	Labels         map[string]string          `json:"labels"`
}

type answer struct {
	Family    v1.IPFamily `json:"family"`
	Port      int32       `json:"port"`
	Endpoints []string    `json:"endpoints"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	questions := bufio.NewScanner(os.Stdin)
	questions.Buffer(nil, 1<<24)
	answers := json.NewEncoder(os.Stdout)
	for questions.Scan() {
		var asked question
		if err := json.Unmarshal(questions.Bytes(), &asked); err != nil {
			return err
		}
		if err := answers.Encode(decide(asked)); err != nil {
			return err
		}
	}
	return questions.Err()
}

func decide(asked question) []answer {
	answers := []answer{}
	for _, family := range []v1.IPFamily{v1.IPv4Protocol, v1.IPv6Protocol} {
		services := proxy.NewServiceChangeTracker(family, nil, nil)
		services.Update(nil, asked.Service)
		ports := proxy.ServicePortMap{}
		ports.Update(services)
		slices := proxy.NewEndpointsChangeTracker(family, asked.Node, nil, nil)
		for _, slice := range asked.EndpointSlices {
			slices.EndpointSliceUpdate(slice, false)
		}
		endpoints := proxy.EndpointsMap{}
		endpoints.Update(slices)
		for _, port := range asked.Service.Spec.Ports {
			name := proxy.ServicePortName{
				NamespacedName: types.NamespacedName{Namespace: asked.Service.Namespace, Name: asked.Service.Name},
				Port:           port.Name,
				Protocol:       port.Protocol,
			}
			info, known := ports[name]
			if !known || port.Protocol != v1.ProtocolTCP {
				continue
			}
			cluster, local, _, _ := proxy.CategorizeEndpoints(endpoints[name], info, asked.Node, asked.Labels)
			// What its backends do with them for a cluster IP.
			chosen := cluster
			if info.InternalPolicyLocal() {
				chosen = local
			}
			found := answer{Family: family, Port: port.Port, Endpoints: []string{}}
			for _, endpoint := range chosen {
				found.Endpoints = append(found.Endpoints, endpoint.String())
			}
			answers = append(answers, found)
		}
	}
	return answers
}

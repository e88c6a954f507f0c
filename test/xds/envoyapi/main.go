// Command envoyapi knows Envoy's API from the Go packages that Envoy's authors generate.
//
//	envoyapi descriptor   prints what of it the operator speaks, as one FileDescriptorSet in JSON: src/xds/envoyApi.json
//	envoyapi judge        reads messages as JSON lines, each in protobuf's JSON and in bytes that somebody else made of it, and says of each whether both
//	                      are the same message and whether Envoy's own rules for it are kept
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strings"

	// The messages that the operator sends and reads. What they need comes along.
	_ "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/health_check/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/original_dst/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/tls_inspector/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/set_filter_state/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/raw_buffer/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

var roots = []protoreflect.FullName{
	"envoy.service.discovery.v3.DeltaDiscoveryRequest",
	"envoy.service.discovery.v3.DeltaDiscoveryResponse",
	"envoy.config.listener.v3.Listener",
	"envoy.config.cluster.v3.Cluster",
	"envoy.config.endpoint.v3.ClusterLoadAssignment",
	"envoy.extensions.filters.http.health_check.v3.HealthCheck",
	"envoy.extensions.filters.http.router.v3.Router",
	"envoy.extensions.filters.listener.original_dst.v3.OriginalDst",
	"envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector",
	"envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
	"envoy.extensions.filters.network.set_filter_state.v3.Config",
	"envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
	"envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer",
	"envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
	"envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
	"envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
}

func main() {
	if len(os.Args) != 2 {
		fail(fmt.Errorf("say descriptor or judge"))
	}
	switch os.Args[1] {
	case "descriptor":
		fail(printDescriptor())
	case "judge":
		fail(judge())
	default:
		fail(fmt.Errorf("unknown: %s", os.Args[1]))
	}
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// reached holds the messages and enumerations that the roots lead to.
type reached map[protoreflect.FullName]protoreflect.Descriptor

func (r reached) message(m protoreflect.MessageDescriptor) {
	if _, seen := r[m.FullName()]; seen {
		return
	}
	r[m.FullName()] = m
	fields := m.Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		if isDeprecated(field) {
			continue
		}
		if e := field.Enum(); e != nil {
			r[e.FullName()] = e
		}
		if inner := field.Message(); inner != nil {
			r.message(inner)
		}
	}
}

func isDeprecated(field protoreflect.FieldDescriptor) bool {
	options, ok := field.Options().(*descriptorpb.FieldOptions)
	return ok && options.GetDeprecated()
}

func printDescriptor() error {
	found := reached{}
	for _, name := range roots {
		descriptor, err := protoregistry.GlobalFiles.FindDescriptorByName(name)
		if err != nil {
			return err
		}
		found.message(descriptor.(protoreflect.MessageDescriptor))
	}
	files := map[string]protoreflect.FileDescriptor{}
	for _, descriptor := range found {
		files[descriptor.ParentFile().Path()] = descriptor.ParentFile()
	}
	set := &descriptorpb.FileDescriptorSet{}
	for path, file := range files {
		// Its readers have the well-known types themselves.
		if !strings.HasPrefix(path, "google/protobuf/") {
			set.File = append(set.File, pruneFile(file, found))
		}
	}
	sort.Slice(set.File, func(i, j int) bool { return set.File[i].GetName() < set.File[j].GetName() })
	sortByDependency(set)
	for i, file := range set.File {
		text, err := protojson.Marshal(file)
		if err != nil {
			return err
		}
		// protojson changes its white space from build to build on purpose.
		var value any
		if err := json.Unmarshal(text, &value); err != nil {
			return err
		}
		line, err := json.Marshal(value)
		if err != nil {
			return err
		}
		// A line for each file, so that one sees what a new version of Envoy has changed.
		fmt.Printf("%s%s", []string{"{\"file\":[\n", ",\n"}[min(i, 1)], line)
	}
	_, err := fmt.Println("\n]}")
	return err
}

// pruneFile leaves out what nothing leads to, deprecated fields, and every option but those that change the encoding.
func pruneFile(file protoreflect.FileDescriptor, found reached) *descriptorpb.FileDescriptorProto {
	whole := protodesc.ToFileDescriptorProto(file)
	needed := map[string]bool{}
	pruned := &descriptorpb.FileDescriptorProto{Name: whole.Name, Package: whole.Package, Syntax: whole.Syntax}
	prefix := "." + whole.GetPackage()
	for _, message := range whole.GetMessageType() {
		if kept := pruneMessage(message, prefix, found, needed); kept != nil {
			pruned.MessageType = append(pruned.MessageType, kept)
		}
	}
	for _, enum := range whole.GetEnumType() {
		if kept := pruneEnum(enum, prefix, found); kept != nil {
			pruned.EnumType = append(pruned.EnumType, kept)
		}
	}
	for path := range needed {
		if path != whole.GetName() {
			pruned.Dependency = append(pruned.Dependency, path)
		}
	}
	sort.Strings(pruned.Dependency)
	return pruned
}

func pruneMessage(message *descriptorpb.DescriptorProto, prefix string, found reached, needed map[string]bool) *descriptorpb.DescriptorProto {
	name := prefix + "." + message.GetName()
	_, isReached := found[protoreflect.FullName(name[1:])]
	kept := &descriptorpb.DescriptorProto{Name: message.Name}
	for _, nested := range message.GetNestedType() {
		if inner := pruneMessage(nested, name, found, needed); inner != nil {
			kept.NestedType = append(kept.NestedType, inner)
		}
	}
	for _, enum := range message.GetEnumType() {
		if inner := pruneEnum(enum, name, found); inner != nil {
			kept.EnumType = append(kept.EnumType, inner)
		}
	}
	if !isReached {
		// Only the place of what is nested in it.
		if len(kept.NestedType)+len(kept.EnumType) == 0 {
			return nil
		}
		return kept
	}
	oneofs := map[int32]int32{}
	for _, field := range message.GetField() {
		if field.GetOptions().GetDeprecated() {
			continue
		}
		clean := &descriptorpb.FieldDescriptorProto{
			Name: field.Name, Number: field.Number, Type: field.Type, TypeName: field.TypeName,
			Proto3Optional: field.Proto3Optional,
		}
		if field.GetLabel() != descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL {
			clean.Label = field.Label
		}
		if packed := field.GetOptions(); packed != nil && packed.Packed != nil {
			clean.Options = &descriptorpb.FieldOptions{Packed: packed.Packed}
		}
		if field.OneofIndex != nil {
			index, known := oneofs[field.GetOneofIndex()]
			if !known {
				index = int32(len(kept.OneofDecl))
				oneofs[field.GetOneofIndex()] = index
				kept.OneofDecl = append(kept.OneofDecl, &descriptorpb.OneofDescriptorProto{Name: message.OneofDecl[field.GetOneofIndex()].Name})
			}
			clean.OneofIndex = &index
		}
		if field.TypeName != nil {
			needed[found[protoreflect.FullName(field.GetTypeName()[1:])].ParentFile().Path()] = true
		}
		kept.Field = append(kept.Field, clean)
	}
	if message.GetOptions().GetMapEntry() {
		kept.Options = &descriptorpb.MessageOptions{MapEntry: proto.Bool(true)}
	}
	return kept
}

func pruneEnum(enum *descriptorpb.EnumDescriptorProto, prefix string, found reached) *descriptorpb.EnumDescriptorProto {
	if _, isReached := found[protoreflect.FullName((prefix + "." + enum.GetName())[1:])]; !isReached {
		return nil
	}
	kept := &descriptorpb.EnumDescriptorProto{Name: enum.Name}
	for _, value := range enum.GetValue() {
		kept.Value = append(kept.Value, &descriptorpb.EnumValueDescriptorProto{Name: value.Name, Number: value.Number})
	}
	if enum.GetOptions().GetAllowAlias() {
		kept.Options = &descriptorpb.EnumOptions{AllowAlias: proto.Bool(true)}
	}
	return kept
}

// sortByDependency puts every file behind those that it imports, as readers of a FileDescriptorSet expect.
func sortByDependency(set *descriptorpb.FileDescriptorSet) {
	byName := map[string]*descriptorpb.FileDescriptorProto{}
	for _, file := range set.File {
		byName[file.GetName()] = file
	}
	var sorted []*descriptorpb.FileDescriptorProto
	done := map[string]bool{}
	var visit func(file *descriptorpb.FileDescriptorProto)
	visit = func(file *descriptorpb.FileDescriptorProto) {
		if file == nil || done[file.GetName()] {
			return
		}
		done[file.GetName()] = true
		for _, path := range file.Dependency {
			visit(byName[path])
		}
		sorted = append(sorted, file)
	}
	for _, file := range set.File {
		visit(file)
	}
	set.File = sorted
}

type question struct {
	// Json is the message in protobuf's JSON, with its type in "@type".
	Json json.RawMessage `json:"json"`
	// Bytes is what somebody else made of it.
	Bytes []byte `json:"bytes"`
}

type verdict struct {
	// Error says what is wrong; empty: nothing.
	Error string `json:"error"`
}

func judge() error {
	scanner := bufio.NewScanner(os.Stdin)
	scanner.Buffer(nil, 64<<20)
	encoder := json.NewEncoder(os.Stdout)
	for scanner.Scan() {
		answer := verdict{}
		if err := judgeOne(scanner.Bytes()); err != nil {
			answer.Error = err.Error()
		}
		if err := encoder.Encode(answer); err != nil {
			return err
		}
	}
	return scanner.Err()
}

func judgeOne(line []byte) error {
	var asked question
	if err := json.Unmarshal(line, &asked); err != nil {
		return err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(asked.Json, &fields); err != nil {
		return err
	}
	var url string
	if err := json.Unmarshal(fields["@type"], &url); err != nil {
		return err
	}
	delete(fields, "@type")
	body, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	kind, err := protoregistry.GlobalTypes.FindMessageByURL(url)
	if err != nil {
		return err
	}
	expected, given := kind.New().Interface(), kind.New().Interface()
	if err := protojson.Unmarshal(body, expected); err != nil {
		return fmt.Errorf("as JSON: %w", err)
	}
	if err := proto.Unmarshal(asked.Bytes, given); err != nil {
		return fmt.Errorf("as bytes: %w", err)
	}
	if checked, ok := given.(interface{ ValidateAll() error }); ok {
		if err := checked.ValidateAll(); err != nil {
			return err
		}
	}
	// Any holds bytes, which may differ for equal messages: compared as JSON, which looks into them.
	expectedText, err := protojson.Marshal(expected)
	if err != nil {
		return err
	}
	givenText, err := protojson.Marshal(given)
	if err != nil {
		return err
	}
	if string(expectedText) != string(givenText) {
		return fmt.Errorf("differs: %s instead of %s", givenText, expectedText)
	}
	return nil
}

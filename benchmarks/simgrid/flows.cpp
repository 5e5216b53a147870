// Reads flows and their routes, lets SimGrid share the links max-min fairly, prints seconds of the run and check sums.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <map>
#include <simgrid/s4u.hpp>
#include <string>
#include <vector>

namespace sg4 = simgrid::s4u;

struct Flow {
  int source, target;
  double size, start;
  std::vector<int> links;
};

static double total = 0, last = 0;

int main(int argc, char** argv)
{
  sg4::Engine engine(&argc, argv);
  for (const char* option : {"network/model:CM02", "network/TCP-gamma:0", "network/crosstraffic:0",
                             "network/bandwidth-factor:1", "network/latency-factor:1", "network/weight-S:0"})
    sg4::Engine::set_config(option);
  std::ifstream file(argv[1]);
  int n_hosts, n_links, n_flows;
  file >> n_hosts >> n_links >> n_flows;
  auto* zone = sg4::create_full_zone("zone");
  std::vector<sg4::Host*> hosts;
  for (int i = 0; i < n_hosts; i++)
    hosts.push_back(zone->create_host("h" + std::to_string(i), 1e9)->seal());
  std::vector<sg4::Link*> links;
  for (int i = 0; i < n_links; i++)
    links.push_back(zone->create_link("l" + std::to_string(i), 50e9)->set_latency(0)->seal());
  std::vector<Flow> flows(n_flows);
  std::map<std::pair<int, int>, bool> known;
  for (auto& flow : flows) {
    int hops;
    file >> flow.source >> flow.target >> flow.size >> flow.start >> hops;
    flow.links.resize(hops);
    for (int& link : flow.links)
      file >> link;
    auto ends = std::make_pair(flow.source, flow.target);
    if (known[ends])
      continue;
    known[ends] = true;
    std::vector<sg4::LinkInRoute> route;
    for (int link : flow.links)
      route.emplace_back(links[link]);
    zone->add_route(hosts[flow.source]->get_netpoint(), hosts[flow.target]->get_netpoint(), nullptr, nullptr, route,
                    false);
  }
  zone->seal();
  sg4::Actor::create("sender", hosts[0], [&flows, &hosts] {
    std::vector<sg4::CommPtr> open;
    for (auto& flow : flows) {
      if (flow.start > sg4::Engine::get_clock())
        sg4::this_actor::sleep_until(flow.start);
      auto comm = sg4::Comm::sendto_init(hosts[flow.source], hosts[flow.target]);
      comm->set_payload_size(flow.size)->start();
      open.push_back(comm);
    }
    sg4::Comm::wait_all(open);
    for (auto& comm : open) {
      total += comm->get_finish_time();
      last = std::max(last, comm->get_finish_time());
    }
  });
  auto begin = std::chrono::steady_clock::now();
  engine.run();
  std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
  std::printf("RESULT %.6f %.12g %.12g\n", spent.count(), total, last);
}

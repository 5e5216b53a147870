"""Small traces of our own making, one per format, each with the jobs it holds."""

from __future__ import annotations

SLURM_HEADER = (
    "JobID|User|Account|Partition|Submit|Start|End|Elapsed|Timelimit|NNodes|NCPUS|ReqTRES|AllocTRES|State|ExitCode"
)
SLURM_ROW = (
    "100|ada|nlp|gpu|2024-05-01T08:00:00|2024-05-01T08:01:00|2024-05-02T09:02:03|1-01:01:03|2-00:00:00|1|64"
    "|cpu=64,gres/gpu=8|billing=8,cpu=64,gres/gpu=8,gres/gpu:a100=8,mem=500G,node=1|COMPLETED|0:0"
)
HELIOS_HEADER = "job_id,user,vc,gpu_num,cpu_num,node_num,state,submit_time,start_time,end_time,duration,queue"
HELIOS_ROW = "7,u1,vcA,8,32,1,COMPLETED,2020-06-09 18:41:01,2020-06-09 18:42:01,2020-06-09 19:42:01,3600,60"
ACME_HEADER = "job_id,user,node_num,gpu_num,cpu_num,type,state,submit_time,start_time,end_time,duration,queue,gpu_time"
ACME_ROW = (
    "5,u9,2,16,256,Other,FAILED,2023-03-01 00:18:22+08:00,2023-03-01 00:18:54+08:00,2023-03-01 00:20:54+08:00"
    ",120,32,1920.0"
)
ALIBABA_HEADER = (
    "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time"
)
ALIBABA_ROW = "pod-0,6500,12288,1,460,,LS,Failed,427061,427161,427063"

SAMPLES: dict[str, str] = {
    "swf": """\
; Version: 2.2
; UnixStartTime: 1714550400
; TimeZoneString: UTC
  1   0  5 100  8 -1 -1  8  200 -1 1 7 3 -1 2 4 -1 -1
2 10 -1 -1 -1 -1 -1 16 -1 -1 0 8 -1 -1 2 -1 -1 -1
""",
    "slurm": f"""\
{SLURM_HEADER}
{SLURM_ROW}
100.batch||nlp||2024-05-01T08:01:00|2024-05-01T08:01:00|2024-05-02T09:02:03|1-01:01:03||1|64|||COMPLETED|0:0
101|bob|cv|gpu|2024-05-01T08:00:10|None|2024-05-01T08:05:10|00:00:00|UNLIMITED|1|16|gres/gpu=2||CANCELLED by 12|0:0
""",
    "helios": f"""\
{HELIOS_HEADER}
{HELIOS_ROW}
8,u2,vcB,0,4,1,CANCELLED,2020-06-09 18:41:11,,,,
""",
    "philly": """\
timestamp,duration,num_gpus,gpu_time,cluster
2017-10-09 07:00:00,5.0,8,40.0,a
2017-10-09 07:00:30,0.5,1,0.5,
""",
    "acme": f"""\
{ACME_HEADER}
{ACME_ROW}
6,u9,1,0,8,Other,CANCELLED,2023-02-28 16:18:32+00:00,,,,,
""",
    "alibaba": f"""\
{ALIBABA_HEADER}
{ALIBABA_ROW}
pod-1,12000,16384,2,1000,,BE,Pending,427071,427090,
""",
    "table": """\
job,user,submit_s,start_s,end_s,run_s,requested_s,gpus,nodes,state,account,partition,cpus,gpu_share
a,ada,0,5,105,100,200,1,1,completed,nlp,gpu,6.5,0.46
b,,10,,,,,16,,,,,,
""",
}
"""Text of each format: the first job ran; the second, ten seconds younger (Philly: 30), lacks what may be absent."""

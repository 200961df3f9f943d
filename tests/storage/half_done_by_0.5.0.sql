BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('v3.2.0.a');
CREATE TABLE mnist_tune_workers (
	worker_id VARCHAR(32) NOT NULL, 
	study_id INTEGER NOT NULL, 
	name VARCHAR(512) NOT NULL, 
	host VARCHAR(512) NOT NULL, 
	pid INTEGER NOT NULL, 
	device VARCHAR(512) NOT NULL, 
	started DATETIME NOT NULL, 
	last_beat DATETIME NOT NULL, 
	trial INTEGER, 
	images_per_second FLOAT, 
	drain BOOLEAN NOT NULL, 
	departure TEXT, 
	PRIMARY KEY (worker_id), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id) ON DELETE CASCADE
);
INSERT INTO "mnist_tune_workers" VALUES('918c1ccc268cabdd00dbc432f45236f4',1,'host:20589','host',20589,'cpu (a CPU)','2026-01-30 01:46:16.017000','2026-01-30 01:46:18.390000',NULL,4.12858732100786937754e+02,0,'ran as many trials as it was asked to');
CREATE TABLE studies (
	study_id INTEGER NOT NULL, 
	study_name VARCHAR(512) NOT NULL, 
	PRIMARY KEY (study_id)
);
INSERT INTO "studies" VALUES(1,'half-done');
CREATE TABLE study_directions (
	study_direction_id INTEGER NOT NULL, 
	direction VARCHAR(8) NOT NULL, 
	study_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	PRIMARY KEY (study_direction_id), 
	UNIQUE (study_id, objective), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_directions" VALUES(1,'MAXIMIZE',1,0);
CREATE TABLE study_system_attributes (
	study_system_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_system_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_system_attributes" VALUES(1,1,'study:metric_names','["validation_accuracy"]');
CREATE TABLE study_user_attributes (
	study_user_attribute_id INTEGER NOT NULL, 
	study_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (study_user_attribute_id), 
	UNIQUE (study_id, "key"), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "study_user_attributes" VALUES(1,1,'mnist_tune:spec','{"study": {"name": "half-done"}, "search": {"sampler": "grid", "grid": {"learning_rate": [0.001, 0.0001, 0.01], "optimizer": ["Adam", "SGD"]}}, "training": {"batch_size": 64, "epochs": 2, "seed": 0, "precision": "fp32", "weight_decay": 0.0, "momentum": 0.0, "nesterov": false, "scheduler": "none", "label_smoothing": 0.0, "dropout": 0.0, "augmentation_shift": 0.0, "augmentation_rotation": 0.0, "augmentation_scale": 0.0, "augmentation_shear": 0.0, "ema_decay": 0.0}, "data": {"train_size": 200, "validation_size": 100, "split_seed": 0}, "lease": {"heartbeat_interval": 0.1, "grace_period": 0.5, "patience": 300.0}, "retry": {"lost": 3, "preempted": -1, "exception": 3, "out_of_memory": 3, "timeout": 3, "non_finite": 0}, "limits": {"timeout": 86400.0, "failures_in_a_row": 3, "checkpoint_interval": 10.0}}');
INSERT INTO "study_user_attributes" VALUES(2,1,'mnist_tune:version','"0.5.0"');
INSERT INTO "study_user_attributes" VALUES(3,1,'mnist_tune:uid','"44b31c60be3a734f3bc1853ba6cc8445"');
CREATE TABLE trial_heartbeats (
	trial_heartbeat_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	heartbeat DATETIME NOT NULL, 
	PRIMARY KEY (trial_heartbeat_id), 
	UNIQUE (trial_id), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_heartbeats" VALUES(1,1,'2026-01-30 01:46:17.151000');
INSERT INTO "trial_heartbeats" VALUES(2,2,'2026-01-30 01:46:18.328000');
INSERT INTO "trial_heartbeats" VALUES(3,3,'2026-01-30 01:46:20.959000');
INSERT INTO "trial_heartbeats" VALUES(4,4,'2026-01-30 01:46:20.991000');
CREATE TABLE trial_intermediate_values (
	trial_intermediate_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	step INTEGER NOT NULL, 
	intermediate_value FLOAT, 
	intermediate_value_type VARCHAR(7) NOT NULL, 
	PRIMARY KEY (trial_intermediate_value_id), 
	UNIQUE (trial_id, step), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_intermediate_values" VALUES(1,1,1,13.0,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(2,1,2,13.0,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(3,2,1,30.0,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(4,2,2,41.0,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(5,3,1,30.0,'FINITE');
INSERT INTO "trial_intermediate_values" VALUES(6,4,1,30.0,'FINITE');
CREATE TABLE trial_params (
	param_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	param_name VARCHAR(512), 
	param_value FLOAT, 
	distribution_json TEXT, 
	PRIMARY KEY (param_id), 
	UNIQUE (trial_id, param_name), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_params" VALUES(1,1,'learning_rate',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.001, 0.0001, 0.01]}}');
INSERT INTO "trial_params" VALUES(2,1,'optimizer',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["Adam", "SGD"]}}');
INSERT INTO "trial_params" VALUES(3,2,'learning_rate',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.001, 0.0001, 0.01]}}');
INSERT INTO "trial_params" VALUES(4,2,'optimizer',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["Adam", "SGD"]}}');
INSERT INTO "trial_params" VALUES(5,3,'learning_rate',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.001, 0.0001, 0.01]}}');
INSERT INTO "trial_params" VALUES(6,3,'optimizer',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["Adam", "SGD"]}}');
INSERT INTO "trial_params" VALUES(7,4,'learning_rate',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.001, 0.0001, 0.01]}}');
INSERT INTO "trial_params" VALUES(8,4,'optimizer',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["Adam", "SGD"]}}');
INSERT INTO "trial_params" VALUES(9,5,'learning_rate',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.001, 0.0001, 0.01]}}');
INSERT INTO "trial_params" VALUES(10,5,'optimizer',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["Adam", "SGD"]}}');
INSERT INTO "trial_params" VALUES(11,6,'learning_rate',2.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.001, 0.0001, 0.01]}}');
INSERT INTO "trial_params" VALUES(12,6,'optimizer',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["Adam", "SGD"]}}');
INSERT INTO "trial_params" VALUES(13,7,'learning_rate',0.0,'{"name": "CategoricalDistribution", "attributes": {"choices": [0.001, 0.0001, 0.01]}}');
INSERT INTO "trial_params" VALUES(14,7,'optimizer',1.0,'{"name": "CategoricalDistribution", "attributes": {"choices": ["Adam", "SGD"]}}');
CREATE TABLE trial_system_attributes (
	trial_system_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_system_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_system_attributes" VALUES(1,1,'mnist_tune:cell','0');
INSERT INTO "trial_system_attributes" VALUES(2,1,'grid_id','0');
INSERT INTO "trial_system_attributes" VALUES(3,1,'search_space','{"learning_rate": [0.001, 0.0001, 0.01], "optimizer": ["Adam", "SGD"]}');
INSERT INTO "trial_system_attributes" VALUES(4,1,'fixed_params','{"learning_rate": 0.01, "optimizer": "SGD"}');
INSERT INTO "trial_system_attributes" VALUES(5,2,'mnist_tune:cell','1');
INSERT INTO "trial_system_attributes" VALUES(6,2,'grid_id','1');
INSERT INTO "trial_system_attributes" VALUES(7,2,'search_space','{"learning_rate": [0.001, 0.0001, 0.01], "optimizer": ["Adam", "SGD"]}');
INSERT INTO "trial_system_attributes" VALUES(8,2,'fixed_params','{"learning_rate": 0.0001, "optimizer": "Adam"}');
INSERT INTO "trial_system_attributes" VALUES(9,3,'mnist_tune:cell','2');
INSERT INTO "trial_system_attributes" VALUES(10,3,'grid_id','2');
INSERT INTO "trial_system_attributes" VALUES(11,3,'search_space','{"learning_rate": [0.001, 0.0001, 0.01], "optimizer": ["Adam", "SGD"]}');
INSERT INTO "trial_system_attributes" VALUES(12,3,'fixed_params','{"learning_rate": 0.001, "optimizer": "SGD"}');
INSERT INTO "trial_system_attributes" VALUES(13,4,'mnist_tune:cell','3');
INSERT INTO "trial_system_attributes" VALUES(14,4,'grid_id','3');
INSERT INTO "trial_system_attributes" VALUES(15,4,'search_space','{"learning_rate": [0.001, 0.0001, 0.01], "optimizer": ["Adam", "SGD"]}');
INSERT INTO "trial_system_attributes" VALUES(16,4,'fixed_params','{"learning_rate": 0.0001, "optimizer": "SGD"}');
INSERT INTO "trial_system_attributes" VALUES(17,5,'mnist_tune:cell','4');
INSERT INTO "trial_system_attributes" VALUES(18,5,'grid_id','4');
INSERT INTO "trial_system_attributes" VALUES(19,5,'search_space','{"learning_rate": [0.001, 0.0001, 0.01], "optimizer": ["Adam", "SGD"]}');
INSERT INTO "trial_system_attributes" VALUES(20,5,'fixed_params','{"learning_rate": 0.001, "optimizer": "Adam"}');
INSERT INTO "trial_system_attributes" VALUES(21,6,'mnist_tune:cell','5');
INSERT INTO "trial_system_attributes" VALUES(22,6,'grid_id','5');
INSERT INTO "trial_system_attributes" VALUES(23,6,'search_space','{"learning_rate": [0.001, 0.0001, 0.01], "optimizer": ["Adam", "SGD"]}');
INSERT INTO "trial_system_attributes" VALUES(24,6,'fixed_params','{"learning_rate": 0.01, "optimizer": "Adam"}');
INSERT INTO "trial_system_attributes" VALUES(25,1,'mnist_tune:claim','"43c266ce57adf2addc6caf2cd8f877bb"');
INSERT INTO "trial_system_attributes" VALUES(26,1,'artifacts:f76b0e0a-b011-583f-905c-9c117b138d42','"{\"artifact_id\": \"f76b0e0a-b011-583f-905c-9c117b138d42\", \"filename\": \"model.safetensors\", \"mimetype\": \"application/octet-stream\", \"encoding\": null}"');
INSERT INTO "trial_system_attributes" VALUES(27,1,'artifacts:f2f6bdce-0e15-5c51-b4dd-655a3bd8471b','"{\"artifact_id\": \"f2f6bdce-0e15-5c51-b4dd-655a3bd8471b\", \"filename\": \"log.txt\", \"mimetype\": \"text/plain\", \"encoding\": null}"');
INSERT INTO "trial_system_attributes" VALUES(28,1,'mnist_tune:log','"2026-01-30 01:46:16 begins with learning_rate=0.01, optimizer=SGD\n2026-01-30 01:46:16 epoch 1/2: training loss 2.3041, validation loss 2.2972, validation accuracy 13.00 %, 345 images/s\n2026-01-30 01:46:17 epoch 2/2: training loss 2.2935, validation loss 2.2934, validation accuracy 13.00 %, 404 images/s\n2026-01-30 01:46:17 complete: validation accuracy 13.00 %\n"');
INSERT INTO "trial_system_attributes" VALUES(29,2,'mnist_tune:claim','"a222eac48eb0f463f2a91a942acc84f8"');
INSERT INTO "trial_system_attributes" VALUES(30,2,'artifacts:bbcbfbf3-7eb5-5019-bb61-30be5e9643ff','"{\"artifact_id\": \"bbcbfbf3-7eb5-5019-bb61-30be5e9643ff\", \"filename\": \"model.safetensors\", \"mimetype\": \"application/octet-stream\", \"encoding\": null}"');
INSERT INTO "trial_system_attributes" VALUES(31,2,'artifacts:c2a50c4d-8176-5c0d-ab30-dfa0e22c2cb9','"{\"artifact_id\": \"c2a50c4d-8176-5c0d-ab30-dfa0e22c2cb9\", \"filename\": \"log.txt\", \"mimetype\": \"text/plain\", \"encoding\": null}"');
INSERT INTO "trial_system_attributes" VALUES(32,2,'mnist_tune:log','"2026-01-30 01:46:17 begins with learning_rate=0.0001, optimizer=Adam\n2026-01-30 01:46:17 epoch 1/2: training loss 2.3010, validation loss 2.2677, validation accuracy 30.00 %, 385 images/s\n2026-01-30 01:46:18 epoch 2/2: training loss 2.2467, validation loss 2.2373, validation accuracy 41.00 %, 413 images/s\n2026-01-30 01:46:18 complete: validation accuracy 41.00 %\n"');
INSERT INTO "trial_system_attributes" VALUES(33,3,'mnist_tune:claim','"3b728b11dc88937edfa8a77741ec304a"');
INSERT INTO "trial_system_attributes" VALUES(34,3,'mnist_tune:checkpoint','{"key": "3-3b728b11dc88937edfa8a77741ec304a-1.pt", "sha256": "0000000000000000000000000000000000000000000000000000000000000000", "epoch": 1}');
INSERT INTO "trial_system_attributes" VALUES(35,7,'grid_id','2');
INSERT INTO "trial_system_attributes" VALUES(36,7,'mnist_tune:cell','2');
INSERT INTO "trial_system_attributes" VALUES(37,7,'mnist_tune:checkpoint','{"key": "3-3b728b11dc88937edfa8a77741ec304a-1.pt", "sha256": "0000000000000000000000000000000000000000000000000000000000000000", "epoch": 1}');
INSERT INTO "trial_system_attributes" VALUES(38,7,'search_space','{"learning_rate": [0.001, 0.0001, 0.01], "optimizer": ["Adam", "SGD"]}');
INSERT INTO "trial_system_attributes" VALUES(39,7,'fixed_params','{"learning_rate": 0.001, "optimizer": "SGD"}');
INSERT INTO "trial_system_attributes" VALUES(40,7,'mnist_tune:failures','{"preempted": 1}');
INSERT INTO "trial_system_attributes" VALUES(41,4,'mnist_tune:claim','"0fb51ab7cd443f4f850f3e982e90a65f"');
INSERT INTO "trial_system_attributes" VALUES(42,4,'mnist_tune:checkpoint','{"key": "4-0fb51ab7cd443f4f850f3e982e90a65f-1.pt", "sha256": "0000000000000000000000000000000000000000000000000000000000000000", "epoch": 1}');
CREATE TABLE trial_user_attributes (
	trial_user_attribute_id INTEGER NOT NULL, 
	trial_id INTEGER, 
	"key" VARCHAR(512), 
	value_json TEXT, 
	PRIMARY KEY (trial_user_attribute_id), 
	UNIQUE (trial_id, "key"), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_user_attributes" VALUES(1,1,'worker','"host:20589"');
INSERT INTO "trial_user_attributes" VALUES(2,1,'environment','{"device": "cpu", "device_name": "a CPU", "precision": "fp32", "threads": 1, "mnist_tune": "0.5.0", "python": "3.11.7", "torch": "2.14.1+cu130", "torchvision": "0.29.1", "data_sha256": "d0a3eec1f5a454401d758fdbf15b9b0163a7034963586d671960c180b97e2c1a"}');
INSERT INTO "trial_user_attributes" VALUES(3,1,'history','[{"epoch": 1, "training_loss": 2.3041163635253907, "validation_loss": 2.297226667404175, "validation_accuracy": 13.0, "images_per_second": 345.3307611094596, "seconds": 0.5791548930001227}, {"epoch": 2, "training_loss": 2.293505096435547, "validation_loss": 2.293442487716675, "validation_accuracy": 13.0, "images_per_second": 403.5960643421693, "seconds": 0.49554497099961736}]');
INSERT INTO "trial_user_attributes" VALUES(4,2,'worker','"host:20589"');
INSERT INTO "trial_user_attributes" VALUES(5,2,'environment','{"device": "cpu", "device_name": "a CPU", "precision": "fp32", "threads": 1, "mnist_tune": "0.5.0", "python": "3.11.7", "torch": "2.14.1+cu130", "torchvision": "0.29.1", "data_sha256": "d0a3eec1f5a454401d758fdbf15b9b0163a7034963586d671960c180b97e2c1a"}');
INSERT INTO "trial_user_attributes" VALUES(6,2,'history','[{"epoch": 1, "training_loss": 2.301017303466797, "validation_loss": 2.267658233642578, "validation_accuracy": 30.0, "images_per_second": 384.9233143840493, "seconds": 0.5195840119999957}, {"epoch": 2, "training_loss": 2.2466552734375, "validation_loss": 2.2372567653656006, "validation_accuracy": 41.0, "images_per_second": 412.85873210078694, "seconds": 0.4844272010000168}]');
INSERT INTO "trial_user_attributes" VALUES(7,3,'worker','"host:2"');
INSERT INTO "trial_user_attributes" VALUES(8,3,'environment','{"device": "cpu", "device_name": "a CPU", "precision": "fp32", "threads": 1, "mnist_tune": "0.5.0", "python": "3.11.7", "torch": "2.14.1+cu130", "torchvision": "0.29.1", "data_sha256": "d0a3eec1f5a454401d758fdbf15b9b0163a7034963586d671960c180b97e2c1a"}');
INSERT INTO "trial_user_attributes" VALUES(9,3,'history','[{"epoch": 1, "training_loss": 2.301017303466797, "validation_loss": 2.267658233642578, "validation_accuracy": 30.0, "images_per_second": 384.9233143840493, "seconds": 0.5195840119999957}]');
INSERT INTO "trial_user_attributes" VALUES(10,3,'failure','{"class": "preempted", "reason": "the worker was stopped by SIGTERM; stopped after epoch 1"}');
INSERT INTO "trial_user_attributes" VALUES(11,4,'worker','"host:2"');
INSERT INTO "trial_user_attributes" VALUES(12,4,'environment','{"device": "cpu", "device_name": "a CPU", "precision": "fp32", "threads": 1, "mnist_tune": "0.5.0", "python": "3.11.7", "torch": "2.14.1+cu130", "torchvision": "0.29.1", "data_sha256": "d0a3eec1f5a454401d758fdbf15b9b0163a7034963586d671960c180b97e2c1a"}');
INSERT INTO "trial_user_attributes" VALUES(13,4,'history','[{"epoch": 1, "training_loss": 2.301017303466797, "validation_loss": 2.267658233642578, "validation_accuracy": 30.0, "images_per_second": 384.9233143840493, "seconds": 0.5195840119999957}]');
CREATE TABLE trial_values (
	trial_value_id INTEGER NOT NULL, 
	trial_id INTEGER NOT NULL, 
	objective INTEGER NOT NULL, 
	value FLOAT, 
	value_type VARCHAR(7) NOT NULL, 
	PRIMARY KEY (trial_value_id), 
	UNIQUE (trial_id, objective), 
	FOREIGN KEY(trial_id) REFERENCES trials (trial_id)
);
INSERT INTO "trial_values" VALUES(1,1,0,13.0,'FINITE');
INSERT INTO "trial_values" VALUES(2,2,0,41.0,'FINITE');
CREATE TABLE trials (
	trial_id INTEGER NOT NULL, 
	number INTEGER, 
	study_id INTEGER, 
	state VARCHAR(8) NOT NULL, 
	datetime_start DATETIME, 
	datetime_complete DATETIME, 
	PRIMARY KEY (trial_id), 
	FOREIGN KEY(study_id) REFERENCES studies (study_id)
);
INSERT INTO "trials" VALUES(1,0,1,'COMPLETE','2026-01-30 01:46:16.043000','2026-01-30 01:46:17.259000');
INSERT INTO "trials" VALUES(2,1,1,'COMPLETE','2026-01-30 01:46:17.264000','2026-01-30 01:46:18.380000');
INSERT INTO "trials" VALUES(3,2,1,'FAIL','2026-01-30 01:46:20.935000','2026-01-30 01:46:20.969000');
INSERT INTO "trials" VALUES(4,3,1,'RUNNING','2026-01-30 01:46:20.987000',NULL);
INSERT INTO "trials" VALUES(5,4,1,'WAITING',NULL,NULL);
INSERT INTO "trials" VALUES(6,5,1,'WAITING',NULL,NULL);
INSERT INTO "trials" VALUES(7,6,1,'WAITING',NULL,NULL);
CREATE TABLE version_info (
	version_info_id INTEGER NOT NULL, 
	schema_version INTEGER, 
	library_version VARCHAR(256), 
	PRIMARY KEY (version_info_id), 
	CHECK (version_info_id=1)
);
INSERT INTO "version_info" VALUES(1,12,'5.0.0');
CREATE UNIQUE INDEX ix_studies_study_name ON studies (study_name);
CREATE INDEX ix_trials_study_id ON trials (study_id);
CREATE INDEX ix_mnist_tune_workers_study_id ON mnist_tune_workers (study_id);
CREATE INDEX ix_mnist_tune_trials_study_state ON trials (study_id, state, trial_id);
COMMIT;
